"""Table of processors for cost predictions; each number has a source or is an assumption.

Change a number with `dataclasses.replace`. Predictions are only as accurate as this table. Nothing
is measured here.
"""

import dataclasses

from qtha_lab.core.settings import unknown

ASSUMED = "assumption"


@dataclasses.dataclass(frozen=True)
class Quoted:
    """Number with unit and source; a source that starts with `ASSUMED` marks an assumption."""

    value: float
    unit: str
    source: str

    @property
    def is_assumption(self) -> bool:
        """True if the number is an assumption without a source."""
        return self.source.startswith(ASSUMED)


@dataclasses.dataclass(frozen=True)
class Processor:
    """CPU or accelerator.

    Attributes:
        efficiency: Fraction of the peak that training reaches.
        simulation: Speed of circuit simulation, in operations per second as `count_circuit` counts
            them.
    """

    name: str
    flops: Quoted
    bandwidth: Quoted
    memory: Quoted
    efficiency: Quoted
    simulation: Quoted


@dataclasses.dataclass(frozen=True)
class QuantumProcessor:
    """Durations of shots and jobs on a quantum processor.

    Attributes:
        topology: Connectivity of the qubits, as for `circuits.hardware_cost`.
        parallel: True if gates on different qubits run in parallel, so that the depth counts. False
            if they run sequentially, so that the number of gates counts.
    """

    name: str
    qubits: Quoted
    one_qubit_gate: Quoted
    two_qubit_gate: Quoted
    readout: Quoted
    between_shots: Quoted
    circuits_per_job: Quoted
    job_overhead: Quoted
    topology: str = "grid"
    parallel: bool = True

    def shot_seconds(self, one_qubit_steps: int, two_qubit_steps: int) -> float:
        """Compute the seconds of one shot: gates, readout and the delay before the next."""
        gates = (
            one_qubit_steps * self.one_qubit_gate.value
            + two_qubit_steps * self.two_qubit_gate.value
        )
        return gates + self.readout.value + self.between_shots.value


def _flops(value: float, source: str) -> Quoted:
    return Quoted(value, "FLOP/s", source)


def _seconds(value: float, source: str) -> Quoted:
    return Quoted(value, "s", source)


_SHARE = Quoted(0.4, "share of peak", f"{ASSUMED}: dense transformer training")
_MEMORY_BOUND = "unfused, each gate reads and writes 8 bytes an amplitude for 6 operations"
_A100, _H100 = "NVIDIA A100 80GB SXM data sheet", "NVIDIA H100 SXM data sheet"
_IONQ = "Microsoft's page on IonQ's 11-qubit machine (azure quantum-docs, provider-ionq, 2021)"
_WUKONG = "authors' code (methods.md 1.8)"

PROCESSORS = {
    processor.name: processor
    for processor in (
        Processor(
            "two-cpu-cores",
            _flops(1.9e11, f"{ASSUMED}: 2 cores · 3 GHz · 32 float32 operations a cycle (AVX2)"),
            Quoted(2.5e10, "B/s", f"{ASSUMED}: one DDR4-3200 channel"),
            Quoted(16e9, "B", f"{ASSUMED}: a laptop"),
            _SHARE,
            # 2 cores · (96 + 2 · 64) parts · 6 · 256 · 4 operations in 2.83 µs of one core
            _flops(
                9.7e11, "measured, AMD EPYC: engine cpu on QTHA's circuit, n = 8, L = 4, batch 2048"
            ),
        ),
        Processor(
            "a100-80gb",
            _flops(312e12, f"{_A100}: bfloat16, dense"),
            Quoted(2.039e12, "B/s", _A100),
            Quoted(80e9, "B", _A100),
            _SHARE,
            _flops(7.6e11, f"{ASSUMED}: {_MEMORY_BOUND}"),
        ),
        Processor(
            "h100-sxm",
            _flops(989.5e12, f"{_H100}: bfloat16, half of the 1,979 stated with sparsity"),
            Quoted(3.35e12, "B/s", _H100),
            Quoted(80e9, "B", _H100),
            _SHARE,
            _flops(1.26e12, f"{ASSUMED}: {_MEMORY_BOUND}"),
        ),
    )
}

QUANTUM_PROCESSORS = {
    qpu.name: qpu
    for qpu in (
        QuantumProcessor(
            "superconducting",
            Quoted(102, "qubits", f"{_WUKONG}: chip WK_C102_400"),
            _seconds(30e-9, f"{ASSUMED}: usual for transmons"),
            _seconds(100e-9, f"{ASSUMED}: usual for transmons"),
            _seconds(1e-6, f"{ASSUMED}: usual for transmons"),
            _seconds(250e-6, "default_rep_delay in qiskit-ibm-runtime's backend configurations"),
            Quoted(200, "circuits", _WUKONG),
            _seconds(
                5.0, f"{ASSUMED}: compiling, loading and queueing, with the machine to oneself"
            ),
        ),
        QuantumProcessor(
            "superconducting-fast-reset",
            Quoted(102, "qubits", f"{ASSUMED}: as above"),
            _seconds(30e-9, f"{ASSUMED}: as above"),
            _seconds(100e-9, f"{ASSUMED}: as above"),
            _seconds(1e-6, f"{ASSUMED}: as above"),
            _seconds(1e-6, f"{ASSUMED}: qubits reset actively"),
            Quoted(10_000, "circuits", f"{ASSUMED}: angles changed on the controller"),
            _seconds(0.1, f"{ASSUMED}: controller beside the computer"),
        ),
        QuantumProcessor(
            "trapped-ion",
            Quoted(11, "qubits", _IONQ),
            _seconds(10e-6, _IONQ),
            _seconds(210e-6, _IONQ),
            _seconds(100e-6, _IONQ),
            _seconds(25e-6, f"{_IONQ}: reset"),
            Quoted(200, "circuits", f"{ASSUMED}: as on the superconducting one"),
            _seconds(5.0, f"{ASSUMED}: as on the superconducting one"),
            topology="all-to-all",
            parallel=False,
        ),
    )
}


def get_processor(name: str) -> Processor:
    """Return the processor of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in PROCESSORS:
        raise unknown("processor", name, list(PROCESSORS))
    return PROCESSORS[name]


def get_quantum_processor(name: str) -> QuantumProcessor:
    """Return the quantum processor of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in QUANTUM_PROCESSORS:
        raise unknown("quantum processor", name, list(QUANTUM_PROCESSORS))
    return QUANTUM_PROCESSORS[name]


def assumptions() -> list[dict]:
    """List all numbers of the table as rows.

    Keys: `machine`, `quantity`, `value`, `unit`, `source`, `assumed`.

    Example:
        >>> sorted({row["unit"] for row in assumptions() if row["quantity"] == "bandwidth"})
        ['B/s']
    """
    rows = []
    for machine in (*PROCESSORS.values(), *QUANTUM_PROCESSORS.values()):
        for field in dataclasses.fields(machine):
            number = getattr(machine, field.name)
            if isinstance(number, Quoted):
                rows.append(
                    {
                        "machine": machine.name,
                        "quantity": field.name,
                        **dataclasses.asdict(number),
                        "assumed": number.is_assumption,
                    }
                )
    return rows

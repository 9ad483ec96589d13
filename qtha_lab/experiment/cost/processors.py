"""Table of quantum processors for predictions; each number has a source or is an assumption.

Change a number with `dataclasses.replace`. Nothing is measured here.
"""

import dataclasses
from typing import NamedTuple

from qtha_lab.core.settings import unknown


class Quoted(NamedTuple):
    """Number with its source; a source that starts with "assumption" marks an assumption."""

    value: float
    source: str


@dataclasses.dataclass(frozen=True)
class QuantumProcessor:
    """Durations of shots and jobs on a quantum processor, in seconds.

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


_WUKONG = "authors' code (methods.md 1.8)"
_IONQ = "Microsoft's page on IonQ's 11-qubit machine (azure quantum-docs, provider-ionq, 2021)"
_DELAY = "default_rep_delay in qiskit-ibm-runtime's backend configurations"
_USUAL = "assumption: usual for transmons"
_ABOVE = "assumption: as on the superconducting one"

# in the order of the fields of `QuantumProcessor`
_TABLE = {
    "superconducting": (
        (102, f"{_WUKONG}: chip WK_C102_400"), (30e-9, _USUAL), (100e-9, _USUAL), (1e-6, _USUAL),
        (250e-6, _DELAY), (200, _WUKONG),
        (5.0, "assumption: compiling, loading and queueing, with the machine to oneself"),
    ),
    "superconducting-fast-reset": (
        (102, _ABOVE), (30e-9, _ABOVE), (100e-9, _ABOVE), (1e-6, _ABOVE),
        (1e-6, "assumption: qubits reset actively"),
        (10_000, "assumption: angles changed on the controller"),
        (0.1, "assumption: controller beside the computer"),
    ),
    "trapped-ion": (
        (11, _IONQ), (10e-6, _IONQ), (210e-6, _IONQ), (100e-6, _IONQ), (25e-6, f"{_IONQ}: reset"),
        (200, _ABOVE), (5.0, _ABOVE), "all-to-all", False,
    ),
}  # fmt: skip

QUANTUM_PROCESSORS = {
    name: QuantumProcessor(name, *(Quoted(*v) if isinstance(v, tuple) else v for v in row))
    for name, row in _TABLE.items()
}


def get_quantum_processor(name: str) -> QuantumProcessor:
    """Return the quantum processor of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in QUANTUM_PROCESSORS:
        raise unknown("quantum processor", name, list(QUANTUM_PROCESSORS))
    return QUANTUM_PROCESSORS[name]

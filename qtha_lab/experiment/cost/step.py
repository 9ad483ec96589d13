"""Predicted parameters, circuits, shots and hours on a chip of a method.

Uses configs alone and creates no weights, so any model size works. Each number of a quantum
processor has a source or is an assumption; change one with `dataclasses.replace`.
`qtha_lab.experiment.cost.preview` measures on this machine.
"""

import copy
import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from peft import PeftConfig

from qtha_lab.adapters.adapted_model import adapted_skeleton, circuits_on, trainable_on
from qtha_lab.circuits import Circuit, Gate, HardwareCost, hardware_cost
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.cost.shapes import ModelShape, get_shape

USUAL_GRID = 20  # qubits of the chip topology "grid"


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


def _processor(name: str, row: Any) -> QuantumProcessor:
    fields: list[Any] = [Quoted(*v) if isinstance(v, tuple) else v for v in row]
    return QuantumProcessor(name, *fields)


QUANTUM_PROCESSORS = {name: _processor(name, row) for name, row in _TABLE.items()}


def get_quantum_processor(name: str) -> QuantumProcessor:
    """Return the quantum processor of a name.

    Raises:
        Refusal: If the name is unknown; the message suggests the nearest name.
    """
    if name not in QUANTUM_PROCESSORS:
        raise unknown("quantum processor", name, list(QUANTUM_PROCESSORS))
    return QUANTUM_PROCESSORS[name]


@dataclasses.dataclass(frozen=True)
class CircuitCost:
    """Cost of one circuit of a method, for one token and one layer.

    Does not describe noise, such as the number of two-qubit gates after which a machine's output is
    random.

    Attributes:
        two_qubit_depth: Depth as drawn; `hardware` holds the depth after compilation and routing.
        gradient_circuits: Runs for the parameter-shift gradients of all inputs and trainable
            angles.
    """

    qubits: int
    two_qubit_depth: int
    gradient_circuits: int
    hardware: HardwareCost

    def shot_seconds(self, qpu: QuantumProcessor) -> float:
        """Predict the seconds of one shot on a quantum processor.

        The time follows the depth if gates run in parallel, otherwise the number of gates.
        """
        cost = self.hardware
        if qpu.parallel:
            return qpu.shot_seconds(cost.depth - cost.two_qubit_depth, cost.two_qubit_depth)
        return qpu.shot_seconds(cost.one_qubit_gates, cost.two_qubit_gates)


def circuit_runs(circuits: Mapping[Circuit, int], tokens: int) -> dict[tuple[Circuit, int], int]:
    """Return the number of layers per (circuit, samples) pair of a forward pass.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> reads = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> makes = Circuit(1, [Gate("RY", 0, Angle.param(0))])
        >>> circuit_runs({reads: 6, makes: 6}, tokens=512) == {(reads, 512): 6, (makes, 1): 6}
        True
    """
    return {(c, tokens if c.n_inputs else 1): layers for c, layers in circuits.items()}


@functools.lru_cache(maxsize=256)
def count_circuit(circuit: Circuit, topology: str = "grid") -> CircuitCost:
    """Count the qubits, gates and gradient runs of a circuit.

    Example:
        >>> from qtha_lab import ansatze
        >>> cost = count_circuit(ansatze.build("qtha", 8, 8, True))
        >>> cost.gradient_circuits, cost.hardware.two_qubit_gates  # 8·(24·2 + 16·4), 8·16·2
        (896, 256)

    Source:
        Shifts: Schuld et al. 2019, arXiv:1811.11184 (two for a rotation about one Pauli string) and
        Anselmetti et al. 2021, arXiv:2104.05695 (four for a controlled rotation).
    """
    if topology == "grid" and circuit.n_qubits > USUAL_GRID:
        side = math.isqrt(circuit.n_qubits - 1) + 1
        topology = f"grid:{side}x{side}"
    return CircuitCost(
        qubits=circuit.n_qubits,
        two_qubit_depth=circuit.two_qubit_depth(),
        gradient_circuits=sum(map(_shifts, circuit.gates)),
        hardware=hardware_cost(circuit, topology),
    )


def _shifts(gate: Gate) -> int:
    return 2 * len(gate.kind.frequencies) * sum(angle.source != "const" for angle in gate.angles)


@dataclasses.dataclass(frozen=True)
class Workload:
    """Rows and tokens of one optimiser step, and shots per circuit on a quantum processor."""

    rows: int = 8
    length: int = 512
    shots: int = 1000

    def __post_init__(self):
        for name, value in dataclasses.asdict(self).items():
            if not isinstance(value, int) or value < 1:
                raise Refusal(f"{name} must be a whole number of at least 1, got {value!r}.")

    @property
    def tokens(self) -> int:
        """Number of tokens in all rows together."""
        return self.rows * self.length


@dataclasses.dataclass(frozen=True)
class Cost:
    """Predicted cost of one training step, with its circuits on a chip.

    Does not cover quality, waiting for other users, or the rest of the step.

    Attributes:
        circuit: Cost of the circuit with most qubits; None for a classical method.
        circuits: Circuit runs per forward pass; `gradient_circuits` are the additional runs for
            gradients on hardware.
        quantum_forward_seconds: Duration of the forward runs on a quantum processor, with shots and
            job overhead; None without circuits, or if a circuit has more qubits than the processor.
        quantum_step_seconds: The same with the gradient runs.
    """

    model: str
    trainable_parameters: int
    base_parameters: int
    circuit: CircuitCost | None
    circuits: int
    gradient_circuits: int
    shots: int
    quantum_forward_seconds: float | None
    quantum_step_seconds: float | None


def cost_of(
    config: PeftConfig,
    shape: ModelShape | str,
    workload: Workload | None = None,
    *,
    quantum_processor: QuantumProcessor | str = "superconducting",
) -> Cost:
    """Predict the cost of one training step.

    Args:
        config: PEFT config of a method of this package or of peft.
        shape: Model shape or its name, see `shapes.SHAPES`; `shapes.shape_of` converts a
            transformers config.
        workload: Tokens and shots.
        quantum_processor: Processor for the circuits.

    Raises:
        Refusal: If the method cannot adapt the model, or a name is unknown.

    Example:
        >>> from peft import LoraConfig
        >>> cost = cost_of(LoraConfig(r=8, target_modules=["q_proj", "v_proj"]), "llama-3-8b")
        >>> cost.trainable_parameters  # 32 blocks · 106,496
        3407872
    """
    shape = get_shape(shape) if isinstance(shape, str) else shape
    qpu, workload = quantum_processor, workload or Workload()
    if isinstance(qpu, str):
        qpu = get_quantum_processor(qpu)
    targets = shape.targets(vars(config)["target_modules"])
    config = copy.deepcopy(config)
    vars(config).update(task_type=None, target_modules={*targets})  # the skeleton has no head
    adapted = adapted_skeleton(shape.skeleton(targets), config)
    runs: dict[CircuitCost, int] = {}
    for (circuit, samples), n_layers in circuit_runs(circuits_on(adapted), workload.tokens).items():
        counted = count_circuit(circuit, qpu.topology)
        runs[counted] = runs.get(counted, 0) + samples * n_layers
    with_gradients = {c: n * (1 + c.gradient_circuits) for c, n in runs.items()}
    n_circuits = sum(runs.values())
    return Cost(
        model=shape.name,
        trainable_parameters=trainable_on(adapted),
        base_parameters=shape.n_parameters,
        circuit=max(runs, key=lambda circuit: circuit.qubits, default=None),
        circuits=n_circuits,
        gradient_circuits=sum(with_gradients.values()) - n_circuits,
        shots=n_circuits * workload.shots,
        quantum_forward_seconds=quantum_seconds(workload.shots, qpu, runs),
        quantum_step_seconds=quantum_seconds(workload.shots, qpu, with_gradients),
    )


def quantum_seconds(
    shots: int, qpu: QuantumProcessor, runs: Mapping[CircuitCost, int]
) -> float | None:
    """Predict the seconds of sequential shots plus job overhead, without waiting for other users.

    Returns:
        Seconds; None without circuits, or if a circuit has more qubits than the processor.
    """
    if not runs or max(circuit.qubits for circuit in runs) > qpu.qubits.value:
        return None
    jobs = math.ceil(sum(runs.values()) / qpu.circuits_per_job.value)
    seconds = sum(n * shots * circuit.shot_seconds(qpu) for circuit, n in runs.items())
    return seconds + jobs * qpu.job_overhead.value

"""Predicted cost of a method on a model: parameters, circuits, shots and hours on a chip.

Uses configs alone and creates no weights, so any model size works. Times are predictions for the
machines of `processors`; `qtha_lab.experiment.cost.preview` measures on this machine.
"""

import copy
import dataclasses
import math
from collections.abc import Mapping

from peft import PeftConfig

from qtha_lab.adapters.adapted_model import adapted_skeleton, circuits_on, trainable_on
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cost.circuit import CircuitCost, circuit_runs, count_circuit
from qtha_lab.experiment.cost.processors import QuantumProcessor, get_quantum_processor
from qtha_lab.experiment.cost.shapes import ModelShape, get_shape


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
    """Predicted cost of one training step of a method on a model, with its circuits on a chip.

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
    targets = shape.targets(config.target_modules)
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

    Args:
        shots: Shots per run.
        qpu: Quantum processor.
        runs: Number of runs of each circuit.

    Returns:
        Seconds; None without circuits, or if a circuit has more qubits than the processor.
    """
    if not runs or max(circuit.qubits for circuit in runs) > qpu.qubits.value:
        return None
    jobs = math.ceil(sum(runs.values()) / qpu.circuits_per_job.value)
    seconds = sum(n * shots * circuit.shot_seconds(qpu) for circuit, n in runs.items())
    return seconds + jobs * qpu.job_overhead.value

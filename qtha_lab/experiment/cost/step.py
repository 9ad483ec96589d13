"""Predicted cost of a method on a model: parameters, operations, bytes, circuits and seconds.

Uses configs alone and creates no weights, so any model size works. Times are predictions for the
machines of `processors`, not measurements; `qtha_lab.experiment.cost.preview` measures on this
machine.
"""

import collections
import dataclasses
import functools
import math
from collections.abc import Mapping

from peft import PeftConfig
from torch import nn

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.cost.adapter import adapted_layers_of, adapter_flops
from qtha_lab.experiment.cost.circuit import (
    BACKWARD,
    CircuitCost,
    circuit_runs,
    count_circuit,
)
from qtha_lab.experiment.cost.processors import (
    Processor,
    QuantumProcessor,
    get_processor,
    get_quantum_processor,
)
from qtha_lab.experiment.cost.shapes import ModelShape, get_shape

WEIGHT_BYTES = 2  # frozen base in bfloat16
TRAINED_BYTES = 16  # float32 weight, gradient and the two moments of AdamW
# Bytes per token and block that the backward pass needs, times the hidden size, at 16 bits and
# without stored attention scores. Source: Korthikanti et al. 2022, arXiv:2205.05198, section 4.1.
ACTIVATION_BYTES = 34


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
    """Predicted cost of one training step of a method on a model.

    Does not cover quality, communication between devices, the optimiser's time, or data loading.
    Operations are those of matrix products (without element-wise work) and of circuits on a
    state-vector simulator.

    Attributes:
        base_flops: Forward and backward operations of the frozen base.
        adapter_flops: Forward and backward operations of the adapters' matrix products, counted by
            torch; None if a method cannot run without weights, or has circuits that are too large
            to simulate.
        simulator_flops: Forward and backward operations of all circuits.
        memory_bytes: Bytes of weights, trained tensors with optimiser state, and activations
            without checkpointing.
        devices: Number of processors whose memory holds these bytes.
        seconds: Duration of the step, with circuits simulated on the same processor.
        circuits: Circuit runs per forward pass; `gradient_circuits` are the additional runs for
            gradients on hardware.
        quantum_forward_seconds: Duration of the forward runs on a quantum processor, with shots and
            job overhead; None without circuits, or if a circuit has more qubits than the processor.
        quantum_step_seconds: The same with the gradient runs.
    """

    model: str
    method: str
    trainable_parameters: int
    base_parameters: int
    base_flops: int
    adapter_flops: int | None
    simulator_flops: int
    memory_bytes: dict[str, int]
    processor: str
    devices: int
    seconds: float
    circuit: CircuitCost | None
    circuits: int
    gradient_circuits: int
    shots: int
    quantum_processor: str
    quantum_forward_seconds: float | None
    quantum_step_seconds: float | None

    def row(self) -> dict:
        """Flatten the cost into one row of plain values.

        The row has the fields, `*_bytes` by purpose, and the sizes of the circuit.
        """
        row = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        memory, circuit = row.pop("memory_bytes"), row.pop("circuit")
        row |= {f"{name}_bytes": size for name, size in memory.items()}
        row["qubits"] = circuit.qubits if circuit else 0
        row["two_qubit_depth"] = circuit.two_qubit_depth if circuit else 0
        for name in ("two_qubit_depth", "two_qubit_gates"):
            row[f"hardware_{name}"] = getattr(circuit.hardware, name) if circuit else 0
        return row


def cost_of(
    config: PeftConfig,
    shape: ModelShape | str,
    workload: Workload | None = None,
    *,
    processor: Processor | str = "h100-sxm",
    quantum_processor: QuantumProcessor | str = "superconducting",
    method: str = "",
) -> Cost:
    """Predict the cost of one training step.

    Args:
        config: PEFT config of a method of this package or of peft.
        shape: Model shape or its name, see `shapes.SHAPES`; `shapes.shape_of` converts a
            transformers config.
        workload: Tokens and shots.
        processor: Processor that trains the model.
        quantum_processor: Processor for the circuits.
        method: Name of the method; default its PEFT type.

    Raises:
        Refusal: If the method cannot adapt the model, or a name is unknown.

    Example:
        >>> from peft import LoraConfig
        >>> cost = cost_of(LoraConfig(r=8, target_modules=["q_proj", "v_proj"]), "llama-3-8b")
        >>> cost.trainable_parameters  # 32 blocks · 106,496
        3407872
    """
    shape = get_shape(shape) if isinstance(shape, str) else shape
    processor = get_processor(processor) if isinstance(processor, str) else processor
    if isinstance(quantum_processor, str):
        quantum_processor = get_quantum_processor(quantum_processor)
    workload = workload or Workload()
    layers, trained = adapted_layers_of(config, shape)
    runs = circuit_counts(layers, workload.tokens, quantum_processor.topology)
    operations = {
        "base": base_flops(shape, workload),
        "adapter": adapter_flops(config, layers, workload.tokens),
        "simulator": (1 + BACKWARD)
        * sum(n * circuit.simulator_flops for circuit, n in runs.items()),
    }
    memory = {
        "weight": WEIGHT_BYTES * shape.n_parameters,
        "trained": TRAINED_BYTES * trained,
        "activation": ACTIVATION_BYTES * workload.tokens * shape.hidden * shape.n_blocks,
    }
    devices = math.ceil(sum(memory.values()) / processor.memory.value)
    gradients = {circuit: n * circuit.gradient_circuits for circuit, n in runs.items()}
    with_gradients = {circuit: n + gradients[circuit] for circuit, n in runs.items()}
    quantum = functools.partial(quantum_seconds, workload.shots, quantum_processor)
    return Cost(
        model=shape.name,
        method=method or str(getattr(config.peft_type, "value", config.peft_type)).lower(),
        trainable_parameters=trained,
        base_parameters=shape.n_parameters,
        base_flops=operations["base"],
        adapter_flops=operations["adapter"],
        simulator_flops=operations["simulator"],
        memory_bytes=memory,
        processor=processor.name,
        devices=devices,
        seconds=_seconds(operations, memory, processor, devices),
        circuit=max(runs, key=lambda circuit: circuit.qubits, default=None),
        circuits=sum(runs.values()),
        gradient_circuits=sum(gradients.values()),
        shots=sum(runs.values()) * workload.shots,
        quantum_processor=quantum_processor.name,
        quantum_forward_seconds=quantum(runs),
        quantum_step_seconds=quantum(with_gradients),
    )


def cost_table(
    configs: Mapping[str, PeftConfig], shapes: Mapping[str, ModelShape] | list[str], **options
) -> list[dict]:
    """Build a row for each model and method; options as for `cost_of`.

    "relative_parameters" is the ratio to the first method on the same model.
    """
    shape_by_name = (
        {name: get_shape(name) for name in shapes} if isinstance(shapes, list) else shapes
    )
    rows = []
    for shape in shape_by_name.values():
        costs = [cost_of(config, shape, method=name, **options) for name, config in configs.items()]
        first = costs[0].trainable_parameters
        rows += [
            {**cost.row(), "relative_parameters": cost.trainable_parameters / first}
            for cost in costs
        ]
    return rows


def base_flops(shape: ModelShape, workload: Workload) -> int:
    """Count forward and backward operations of the frozen base, with causal attention.

    A frozen weight costs 2 operations per token in the forward pass and 2 in the backward pass,
    because it has no gradient. The two attention products cost twice as much in the backward pass,
    because both factors have gradients.

    Source:
        Kaplan et al. 2020, arXiv:2001.08361, table 1, forward; backward with frozen weights is ours
        [R].
    """
    weights = shape.block_parameters + shape.head_parameters
    # scores and weighted values: 2 · 2 · width for each of length / 2 earlier tokens
    attention = shape.n_blocks * 2 * shape.attention_width * workload.length
    return workload.tokens * (4 * weights + 3 * attention)


def circuit_counts(
    layers: list[nn.Module], tokens: int, topology: str = "grid"
) -> dict[CircuitCost, int]:
    """Count the circuit runs per cost in a forward pass over all layers.

    Args:
        layers: Layers with adapters; layers without circuits add no runs.
        tokens: Tokens in the batch.
        topology: Connectivity of the chip's qubits.
    """
    changes = (c for layer in layers for c in getattr(layer, "changes", {}).values())
    circuits = collections.Counter(circuit for change in changes for circuit in change.circuits())
    counts: dict[CircuitCost, int] = collections.Counter()
    for (circuit, samples), n_layers in circuit_runs(circuits, tokens).items():
        counts[count_circuit(circuit, topology)] += samples * n_layers
    return counts


def _seconds(operations: dict, memory: dict, processor: Processor, devices: int) -> float:
    """Predict the seconds of a step.

    The longer of computation and memory traffic, plus the circuits.
    """
    products = operations["base"] + (operations["adapter"] or 0)
    compute = products / (processor.flops.value * processor.efficiency.value)
    bytes_moved = 2 * memory["weight"] + memory["trained"] + 2 * memory["activation"]
    circuits = operations["simulator"] / processor.simulation.value
    return (max(compute, bytes_moved / processor.bandwidth.value) + circuits) / devices


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

"""What a circuit costs: runs for values and slopes, steps on a chip, operations of a simulator.

Counts from the circuit as data. Times on machines are `cost`.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

from qtha_lab.circuits import Circuit, Gate, HardwareCost, hardware_cost
from qtha_lab.experiment.cost.processors import QuantumProcessor

FLOPS_PER_AMPLITUDE = 6  # a real rotation or a phase of a complex amplitude
BACKWARD = 3  # un-apply on two states, and the overlaps: the adjoint method
USUAL_GRID = 20  # qubits of the chip named "grid"


@dataclasses.dataclass(frozen=True)
class CircuitCost:
    """One circuit of a method, at one token of one layer.

    Does not show noise: how many two-qubit gates a machine stands before its output is random.

    Attributes:
        two_qubit_depth: As drawn; `hardware` has it as compiled and routed to a chip.
        gradient_circuits: Runs for the slopes of all inputs and trainable angles by shifting each.
        simulator_flops: Forward, of a state vector, each gate on its own (engines fuse: less).
    """

    qubits: int
    two_qubit_depth: int
    gradient_circuits: int
    simulator_flops: int
    hardware: HardwareCost

    def shot_seconds(self, qpu: QuantumProcessor) -> float:
        """One shot on that machine: by depth where gates run at once, else by their number."""
        cost = self.hardware
        if qpu.parallel:
            return qpu.shot_seconds(cost.depth - cost.two_qubit_depth, cost.two_qubit_depth)
        return qpu.shot_seconds(cost.one_qubit_gates, cost.two_qubit_gates)


def circuit_runs(circuits: Mapping[Circuit, int], tokens: int) -> dict[tuple[Circuit, int], int]:
    """In how many layers each circuit runs on how many samples, in a forward pass.

    Args:
        circuits: The circuits of an adapter, and in how many layers each is.
        tokens: Of the batch; a circuit that reads data runs once per token, another once per layer.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> reads, makes = (Circuit(1, [Gate("RY", 0, angle)]) for angle in (Angle.input(0), Angle.param(0)))
        >>> list(circuit_runs({reads: 6, makes: 6}, tokens=512).items()) == [((reads, 512), 6), ((makes, 1), 6)]
        True
    """
    return {(c, tokens if c.n_inputs else 1): layers for c, layers in circuits.items()}


@functools.lru_cache(maxsize=256)
def count_circuit(circuit: Circuit, topology: str = "grid") -> CircuitCost:
    """Count a circuit.

    Args:
        topology: Of the chip, as for `hardware_cost`; "grid" grows where the circuit is larger.

    Example:
        >>> from qtha_lab import ansatze
        >>> cost = count_circuit(ansatze.build("qtha", 8, 8, True))
        >>> cost.gradient_circuits, cost.hardware.two_qubit_gates  # 8·(24·2 + 16·4), 8·16·2
        (896, 256)

    Source:
        Shifts: Schuld et al. 2019, arXiv:1811.11184 (two for a turn about one Pauli string) and
        Anselmetti et al. 2021, arXiv:2104.05695 (four for a controlled turn). Operations: ours [R].
    """
    # relabellings of basis states (X, CNOT) are free
    turns = sum(kind in ("Y", "Z") for gate in circuit.gates for kind, _, _ in gate.parts())
    if topology == "grid" and circuit.n_qubits > USUAL_GRID:
        side = math.isqrt(circuit.n_qubits - 1) + 1
        topology = f"grid:{side}x{side}"
    return CircuitCost(
        qubits=circuit.n_qubits,
        two_qubit_depth=circuit.two_qubit_depth(),
        gradient_circuits=sum(map(_shifts, circuit.gates)),
        simulator_flops=FLOPS_PER_AMPLITUDE * turns * 2**circuit.n_qubits,
        hardware=hardware_cost(circuit, topology),
    )


def _shifts(gate: Gate) -> int:
    return 2 * len(gate.kind.frequencies) * sum(angle.source != "const" for angle in gate.angles)

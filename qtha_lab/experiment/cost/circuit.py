"""Cost of a circuit: runs for values and gradients, and depth on hardware.

Counts from the circuit's data structure. `qtha_lab.experiment.cost.step` predicts times.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

from qtha_lab.circuits import Circuit, Gate, HardwareCost, hardware_cost
from qtha_lab.experiment.cost.processors import QuantumProcessor

USUAL_GRID = 20  # qubits of the chip topology "grid"


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

    Args:
        circuits: Circuits of an adapter, with the number of layers of each.
        tokens: Tokens in the batch; a circuit with data inputs runs once per token, any other once
            per layer.

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

    Args:
        topology: Chip topology, as for `hardware_cost`; "grid" grows for larger circuits.

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

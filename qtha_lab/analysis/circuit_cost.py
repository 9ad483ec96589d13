"""What a circuit costs: runs for values and slopes, native depth, operations of a simulator.

Counts from the circuit as data. Times on machines are `cost`.
"""

import dataclasses

from qtha_lab.analysis.hardware import QuantumProcessor
from qtha_lab.circuits import Circuit, Gate

# Two-qubit gates of a machine that has one of CNOT or CZ, by textbook decompositions.
NATIVE_TWO_QUBIT = {"CNOT": 1, "CZ": 1, "SWAP": 3}
OTHERWISE = 2  # a controlled or Ising rotation: two CNOTs around a turn
FOUR_SHIFTS = ("CRX", "CRY", "CRZ")  # generators with eigenvalues 0 and ±1/2: two frequencies
FLOPS_PER_AMPLITUDE = 6  # a real rotation or a phase of a complex amplitude
BACKWARD = 3  # un-apply on two states, and the overlaps: the adjoint method


@dataclasses.dataclass(frozen=True)
class CircuitCost:
    """One circuit of a method, at one token of one layer.

    Does not show how a state of given amplitudes is prepared, where a circuit starts in one, nor
    routing: on a chip whose qubits are not all neighbours, swaps come on top. Nor noise: how many
    two-qubit gates a machine stands before its output is random.

    Attributes:
        gradient_circuits: Runs for the slopes of all inputs and trainable angles by shifting each.
        two_qubit_depth: As drawn; `native_two_qubit_depth` after writing gates as CNOTs or CZs.
        simulator_flops: Forward, of a state vector, each gate on its own (engines fuse and do
            less).
    """

    qubits: int
    gates: int
    two_qubit_gates: int
    native_two_qubit_gates: int
    two_qubit_depth: int
    native_two_qubit_depth: int
    depth: int
    gradient_circuits: int
    simulator_flops: int

    def shot_seconds(self, qpu: QuantumProcessor) -> float:
        """One shot on that machine."""
        if qpu.parallel:
            one = self.depth - self.two_qubit_depth + self.native_two_qubit_depth
            return qpu.shot_seconds(one, self.native_two_qubit_depth)
        one = self.gates - self.two_qubit_gates + self.native_two_qubit_gates
        return qpu.shot_seconds(one, self.native_two_qubit_gates)


def count_circuit(circuit: Circuit) -> CircuitCost:
    """Count a circuit.

    Example:
        >>> from qtha_lab import ansatze
        >>> cost = count_circuit(ansatze.build("qtha", 8, 8, True))
        >>> cost.gradient_circuits, cost.two_qubit_gates  # 8·(24·2 + 16·4), 8·16
        (896, 128)

    Source:
        Shifts: Schuld et al. 2019, arXiv:1811.11184 (two for a turn about one Pauli string) and
        Wierichs et al. 2022, arXiv:2107.12390 (four for a controlled turn). Counts of operations
        are ours [R].
    """
    two = [gate for gate in circuit.gates if len(gate.wires) == 2]
    parts = sum(
        kind in ("Y", "Z") for gate in circuit.gates for kind, _, _ in gate.parts()
    )  # relabellings (X, CNOT) are free
    return CircuitCost(
        qubits=circuit.n_qubits,
        gates=len(circuit.gates),
        two_qubit_gates=len(two),
        native_two_qubit_gates=sum(map(native_gates, two)),
        two_qubit_depth=circuit.two_qubit_depth(),
        native_two_qubit_depth=_native_depth(circuit),
        depth=circuit.depth(),
        gradient_circuits=sum(map(_shifts, circuit.gates)),
        simulator_flops=FLOPS_PER_AMPLITUDE * parts * 2**circuit.n_qubits,
    )


def native_gates(gate: Gate) -> int:
    """CNOTs or CZs that a gate is written with; none on one wire."""
    return 0 if len(gate.wires) == 1 else NATIVE_TWO_QUBIT.get(gate.name, OTHERWISE)


def _native_depth(circuit: Circuit) -> int:
    level = [0] * circuit.n_qubits
    for gate in circuit.gates:
        step = max(level[wire] for wire in gate.wires) + native_gates(gate)
        for wire in gate.wires:
            level[wire] = step
    return max(level)


def _shifts(gate: Gate) -> int:
    each = 4 if gate.name in FOUR_SHIFTS else 2
    return each * sum(angle.source != "const" for angle in gate.angles)

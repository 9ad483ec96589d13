"""Tree tensor network ansatz: pairs of qubits merge until one qubit remains."""

from collections.abc import Iterator

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "tree",
    summary="RY encoding, then a binary tree of two RY and a CNOT; 2(n - 1) angles per layer.",
    source="Grant et al. 2018, arXiv:1804.03680; Huggins et al. 2019, arXiv:1803.11537; "
    "PennyLane's TTN with blocks of RY, RY, CNOT",
    n_params=lambda n_qubits, n_layers: 2 * (n_qubits - 1) * n_layers,
    min_qubits=2,
)
def tree(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build one whole tree per layer.

    After a block on a pair, the second qubit stays in the tree. An unpaired qubit waits for the
    next level.

    The published trees have one layer, measure the root alone and use 2^k qubits. More layers, ⟨Z⟩
    of every qubit and other sizes are our extensions.
    """
    angles = map(Angle.param, range(2 * (n_qubits - 1) * n_layers))
    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        gates += _one_tree(list(range(n_qubits)), angles)
    return Circuit(n_qubits, gates)


def _one_tree(alive: list[int], angles: Iterator[Angle]) -> list[Gate]:
    gates: list[Gate] = []
    while len(alive) > 1:
        pairs = list(zip(alive[::2], alive[1::2], strict=False))
        for pair in pairs:
            gates += [Gate("RY", wire, next(angles)) for wire in pair]
            gates.append(Gate("CNOT", pair))
        waiting = alive[-1:] if len(alive) % 2 else []
        alive = [second for _, second in pairs] + waiting
    return gates

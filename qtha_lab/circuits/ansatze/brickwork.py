"""Brickwork ansatz: two-qubit blocks on even pairs, then on odd pairs."""

from collections.abc import Iterator

from qtha_lab.circuits import Angle, Circuit, Gate, general_two_qubit
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz
from qtha_lab.core.errors import Refusal

BLOCKS = {"general": 15, "ry_cz": 2}  # angles of a block


@ansatz(
    "brickwork",
    summary="RY encoding, then a general two-qubit gate of 15 angles on even and on odd pairs.",
    source="Brandão, Harrow and Horodecki 2016, arXiv:1208.0692 (random bricks); "
    "the trainable brick is the KAK form, arXiv:quant-ph/0010100",
    n_params=lambda n_qubits, n_layers, block="general": BLOCKS[block] * (n_qubits - 1) * n_layers,
    min_qubits=2,
)
def brickwork(
    n_qubits: int, n_layers: int, reupload: bool = True, block: str = "general"
) -> Circuit:
    """Build rows of two-qubit blocks on neighbouring qubits, without periodic boundary.

    Args:
        n_qubits: Qubits in a line.
        n_layers: Repeated pairs of even and odd rows, with n_qubits - 1 blocks per layer.
        reupload: Encode the inputs in every layer, not only in the first.
        block: "general" reaches every two-qubit gate; 3 angles are redundant per qubit
            that two blocks share. "ry_cz" is RY on both qubits, then CZ.

    Raises:
        Refusal: If there is no such block.
    """
    if block not in BLOCKS:
        raise Refusal(f"block must be one of {', '.join(BLOCKS)}, got {block!r}.")
    angles = map(Angle.param, range(BLOCKS[block] * (n_qubits - 1) * n_layers))
    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        for first in (0, 1):
            for a in range(first, n_qubits - 1, 2):
                gates += _brick(block, (a, a + 1), angles)
    return Circuit(n_qubits, gates)


def _brick(block: str, wires: tuple[int, int], angles: Iterator[Angle]) -> list[Gate]:
    if block == "general":
        return general_two_qubit(wires, [next(angles) for _ in range(15)])
    return [*(Gate("RY", wire, next(angles)) for wire in wires), Gate("CZ", wires)]

"""General two-qubit gates on neighbours, as a staircase or as brickwork.

A matrix product state becomes such a circuit.
"""

from qtha_lab.circuits import Angle, Circuit, Gate, general_two_qubit
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz
from qtha_lab.core.errors import Refusal

LAYOUTS = ("staircase", "brickwork")


@ansatz(
    "su4",
    summary="RY encoding, then a general two-qubit gate of 15 angles on every pair of neighbours.",
    source="staircases as in Ran 2020, arXiv:1908.07958, and Rudolph et al. 2022, "
    "arXiv:2208.13673; "
    "the gate is the KAK form, arXiv:quant-ph/0010100",
    n_params=lambda n_qubits, n_layers, layout="staircase": 15 * (n_qubits - 1) * n_layers,
    min_qubits=2,
)
def su4(n_qubits: int, n_layers: int, reupload: bool = True, layout: str = "staircase") -> Circuit:
    """Build layers of general two-qubit gates.

    Without data, one staircase prepares every matrix product state of bond 2 (`angles.mps`).

    Args:
        n_qubits: Number of qubits in a line.
        n_layers: Repeated rows of n_qubits - 1 gates.
        reupload: Encode the inputs in every layer, not only in the first.
        layout: "staircase" has pairs (0, 1), (1, 2), …; "brickwork" even pairs, then odd pairs, as
            ansatz `brickwork` with general blocks.

    Raises:
        Refusal: If there is no such layout.
    """
    if layout not in LAYOUTS:
        raise Refusal(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}.")
    firsts = list(range(n_qubits - 1))
    if layout == "brickwork":
        firsts = firsts[::2] + firsts[1::2]
    angles = map(Angle.param, range(15 * (n_qubits - 1) * n_layers))
    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        for wire in firsts:
            gates += general_two_qubit((wire, wire + 1), [next(angles) for _ in range(15)])
    return Circuit(n_qubits, gates)

"""Basic entangler layers: one RX per qubit and a ring of CNOTs."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "basic_entangler",
    summary="RY encoding, RX on every qubit, a ring of CNOTs; 1 angle per qubit and layer.",
    source="PennyLane's BasicEntanglerLayers",
    n_params=lambda n_qubits, n_layers: n_qubits * n_layers,
)
def basic_entangler(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build layers of RX on every qubit and a ring of CNOTs.

    Two qubits have one CNOT, as in PennyLane's template.

    Args:
        n_qubits: Number of qubits, at least 1.
        n_layers: Number of repeated blocks, each with its own `n_qubits` angles.
        reupload: Encode the inputs in every layer, not only in the first.

    Example:
        >>> basic_entangler(3, 2).n_params
        6
    """
    gates: list[Gate] = []
    angles = map(Angle.param, range(n_qubits * n_layers))
    links = n_qubits if n_qubits > 2 else n_qubits - 1
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        gates += [Gate("RX", i, next(angles)) for i in range(n_qubits)]
        gates += [Gate("CNOT", (i, (i + 1) % n_qubits)) for i in range(links)]
    return Circuit(n_qubits, gates)

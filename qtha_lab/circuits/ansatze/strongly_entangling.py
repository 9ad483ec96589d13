"""Strongly entangling layers: a general rotation per qubit, then CNOTs of growing range."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "strongly_entangling",
    summary="RY encoding, Rot on every qubit, a ring of CNOTs whose range grows with the layer.",
    source="Schuld et al. 2018, arXiv:1804.00633; PennyLane's StronglyEntanglingLayers",
    n_params=lambda n_qubits, n_layers: 3 * n_qubits * n_layers,
)
def strongly_entangling(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build strongly entangling layers, as PennyLane's template does.

    Layer k links qubit i with i + 1 + (k mod (n_qubits - 1)).
    """
    gates: list[Gate] = []
    angles = map(Angle.param, range(3 * n_qubits * n_layers))
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        gates += [
            Gate("Rot", i, (next(angles), next(angles), next(angles))) for i in range(n_qubits)
        ]
        if n_qubits > 1:
            reach = 1 + layer % (n_qubits - 1)
            gates += [Gate("CNOT", (i, (i + reach) % n_qubits)) for i in range(n_qubits)]
    return Circuit(n_qubits, gates)

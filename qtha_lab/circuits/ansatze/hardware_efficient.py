"""Hardware-efficient RY/CZ ansatz: rotations and a chain of CZ gates."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "hardware_efficient",
    summary="RY encoding, RY on every qubit, a chain of CZ; a last RY on every qubit at the end.",
    source="Kandala et al. 2017, arXiv:1704.05018, with RY as the rotation and CZ as the entangler",
    n_params=lambda n_qubits, n_layers: n_qubits * (n_layers + 1),
)
def hardware_efficient(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build layers of RY and a CZ chain, with a final RY per qubit.

    The last RY rotations are needed: CZ is diagonal, so the last chain would not change ⟨Z⟩. CZ
    gates commute, so a chain takes two steps on a chip: even pairs, then odd pairs.
    """
    angles = map(Angle.param, range(n_qubits * (n_layers + 1)))
    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        gates += [Gate("RY", i, next(angles)) for i in range(n_qubits)]
        gates += [Gate("CZ", (i, i + 1)) for i in range(n_qubits - 1)]
    gates += [Gate("RY", i, next(angles)) for i in range(n_qubits)]
    return Circuit(n_qubits, gates)

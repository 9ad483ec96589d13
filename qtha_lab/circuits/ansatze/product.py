"""Product ansatz: QTHA's circuit without entanglement, as a control for its rings."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "product",
    summary="QTHA with every CRZ replaced by RZ on its target: as many angles, no entanglement.",
    source="ours, as an honest control for QTHA; arXiv:2503.12790 has no such control",
    n_params=lambda n_qubits, n_layers: 4 * n_qubits * n_layers,
)
def product(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build independent qubits: RY(x_i), RZ, RY, RZ, RY per layer.

    Output i depends on input i only. With every RZ at zero, one layer gives cos(x_i + θ_i + θ'_i).
    """
    gates: list[Gate] = []
    angles = map(Angle.param, range(4 * n_qubits * n_layers))
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        for name in ("RZ", "RY", "RZ", "RY"):
            gates += [Gate(name, i, next(angles)) for i in range(n_qubits)]
    return Circuit(n_qubits, gates)

"""QTHA circuit: RY rotations between two rings of CRZ gates, with data in every layer."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz
from qtha_lab.core.errors import Refusal

ORDERS = ("enc-CRZ-RY-CRZ-RY", "RY-CRZ-RY-CRZ")


@ansatz(
    "qtha",
    summary="RY encoding, then CRZ ring, RY, CRZ ring back, RY; 4 angles per qubit and layer.",
    source="QTHA, arXiv:2503.12790, as in the authors' code; "
    "order RY-CRZ-RY-CRZ as in VQNet's docs",
    n_params=lambda n_qubits, n_layers: 4 * n_qubits * n_layers,
    min_qubits=2,
)
def qtha(n_qubits: int, n_layers: int, reupload: bool = True, order: str = ORDERS[0]) -> Circuit:
    """Build the circuit of QTHA's quantum branch.

    Args:
        n_qubits: Number of qubits in the rings.
        n_layers: Repeated blocks of 4·n_qubits angles.
        reupload: RY(x_i) in every layer (the authors' code) or once (VQNet's benchmark).
        order: "enc-CRZ-RY-CRZ-RY" has a ring first, "RY-CRZ-RY-CRZ" (VQNet) a rotation first.

    Raises:
        Refusal: If there is no such order.

    Source:
        arXiv:2503.12790; the layer is read from the authors' code, the second order from the
        documentation of VQNet. CRZ gates commute, so the order inside a ring is free.
    """
    if order not in ORDERS:
        raise Refusal(f"order must be one of {', '.join(ORDERS)}, got {order!r}.")
    qubits = range(n_qubits)
    angles = map(Angle.param, range(4 * n_qubits * n_layers))

    def rotations() -> list[Gate]:
        return [Gate("RY", i, next(angles)) for i in qubits]

    def ring(step: int) -> list[Gate]:
        return [Gate("CRZ", (i, (i + step) % n_qubits), next(angles)) for i in qubits]

    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        if order == ORDERS[0]:
            gates += ring(1) + rotations() + ring(-1) + rotations()
        else:
            gates += rotations() + ring(1) + rotations() + ring(-1)
    return Circuit(n_qubits, gates)

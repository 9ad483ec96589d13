"""Simplified two-design ansatz: RY rotations, and CZ on even pairs, then on odd pairs."""

from qtha_lab.circuits import Angle, Circuit, Gate
from qtha_lab.circuits.ansatze.encoding import encoded
from qtha_lab.circuits.ansatze.registry import ansatz


@ansatz(
    "simplified_two_design",
    summary="RY encoding, RY on all once, then CZ and two RY on even and on odd pairs a layer.",
    source="Cerezo et al. 2021, arXiv:2001.00550; PennyLane's SimplifiedTwoDesign",
    n_params=lambda n_qubits, n_layers: n_qubits + 2 * (n_qubits - 1) * n_layers,
    min_qubits=2,
)
def simplified_two_design(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """Build the simplified two-design.

    Without data encoding, it is the circuit of Quantum-PEFT's Pauli map (arXiv:2503.05431).
    """
    angles = map(Angle.param, range(n_qubits + 2 * (n_qubits - 1) * n_layers))
    gates: list[Gate] = []
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        if layer == 0:
            gates += [Gate("RY", i, next(angles)) for i in range(n_qubits)]
        for first in (0, 1):
            for a in range(first, n_qubits - 1, 2):
                gates.append(Gate("CZ", (a, a + 1)))
                gates += [Gate("RY", wire, next(angles)) for wire in (a, a + 1)]
    return Circuit(n_qubits, gates)

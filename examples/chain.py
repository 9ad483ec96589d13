"""An ansatz in one file: RY on every qubit, then CNOTs along a line.

qtha-lab compare --plugins examples/chain.py --methods "qtha(r=4),qtha(r=4,ansatz=chain)" --steps 60
"""

from qtha_lab.plugins import Angle, Circuit, Gate, ansatz, encoded


@ansatz(
    "chain",
    summary="RY on every qubit, then CNOTs along a line.",
    source="an example of this project",
    n_params=lambda n_qubits, n_layers: n_qubits * n_layers,
)
def chain(n_qubits: int, n_layers: int, reupload: bool = True) -> Circuit:
    """RY(x_i), RY(θ_i), then a CNOT from each qubit to the next."""
    gates = []
    angles = map(Angle.param, range(n_qubits * n_layers))
    for layer in range(n_layers):
        gates += encoded(n_qubits, layer, reupload)
        gates += [Gate("RY", i, next(angles)) for i in range(n_qubits)]
        gates += [Gate("CNOT", (i, i + 1)) for i in range(n_qubits - 1)]
    return Circuit(n_qubits, gates)

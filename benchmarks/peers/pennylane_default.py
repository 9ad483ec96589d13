"""PennyLane's default.qubit: the batch by parameter broadcasting, gradients by backpropagation."""

PACKAGES = ("pennylane", "torch")


def build(n_qubits: int, n_layers: int, dtype: str):
    import pennylane as qml
    import torch

    device = qml.device("default.qubit", wires=n_qubits)

    @qml.qnode(device, interface="torch", diff_method="backprop")
    def node(inputs, params):
        for layer in range(n_layers):
            for i in range(n_qubits):
                qml.RY(inputs[:, i], i)
            for i in range(n_qubits):
                qml.CRZ(params[layer, 0, i], (i, (i + 1) % n_qubits))
            for i in range(n_qubits):
                qml.RY(params[layer, 1, i], i)
            for i in range(n_qubits):
                qml.CRZ(params[layer, 2, i], (i, (i - 1) % n_qubits))
            for i in range(n_qubits):
                qml.RY(params[layer, 3, i], i)
        return [qml.expval(qml.PauliZ(i)) for i in range(n_qubits)]

    return lambda inputs, params: torch.stack(node(inputs, params), -1).to(inputs.dtype)

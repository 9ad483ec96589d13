"""PennyLane's lightning.qubit or lightning.kokkos: gradients by its adjoint method, one circuit per
sample.

PennyLane splits a batch into circuits by itself, which is quicker than a call per sample.
"""

PACKAGES = ("pennylane_lightning", "pennylane", "torch")
ONE_BY_ONE = True


def build(n_qubits: int, n_layers: int, dtype: str, kokkos: bool = False):
    import numpy as np
    import pennylane as qml
    import torch

    c_dtype = np.complex64 if dtype == "float32" else np.complex128
    name = "lightning.kokkos" if kokkos else "lightning.qubit"
    device = qml.device(name, wires=n_qubits, c_dtype=c_dtype)

    @qml.qnode(device, interface="torch", diff_method="adjoint")
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

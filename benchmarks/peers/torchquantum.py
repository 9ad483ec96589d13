"""TorchQuantum: a QuantumDevice holds the batch; the training backend of QTHA's authors.

Its gates of two wires want shared angles in shape (1, 1). It computes in float32 only.
"""

PACKAGES = ("torchquantum", "torch")


def build(n_qubits: int, n_layers: int, dtype: str):
    import torchquantum as tq
    import torchquantum.functional as tqf

    if dtype != "float32":
        raise ValueError(f"TorchQuantum computes in float32, not {dtype}")
    measure = tq.MeasureAll(tq.PauliZ)

    def run(inputs, params):
        device = tq.QuantumDevice(n_qubits, bsz=len(inputs))
        angles = params.reshape(n_layers, 4, n_qubits, 1, 1)
        for layer in range(n_layers):
            for i in range(n_qubits):
                tqf.ry(device, wires=i, params=inputs[:, i : i + 1])
            for i in range(n_qubits):
                tqf.crz(device, wires=[i, (i + 1) % n_qubits], params=angles[layer, 0, i])
            for i in range(n_qubits):
                tqf.ry(device, wires=i, params=angles[layer, 1, i])
            for i in range(n_qubits):
                tqf.crz(device, wires=[i, (i - 1) % n_qubits], params=angles[layer, 2, i])
            for i in range(n_qubits):
                tqf.ry(device, wires=i, params=angles[layer, 3, i])
        return measure(device)

    return run

"""TensorCircuit-NG on torch: vmap over the batch, gradients by torch."""

PACKAGES = ("tensorcircuit-ng", "torch")


def build(n_qubits: int, n_layers: int, dtype: str):
    import tensorcircuit as tc

    backend = tc.set_backend("pytorch")
    tc.set_dtype("complex64" if dtype == "float32" else "complex128")

    def expectations(x, params):
        circuit = tc.Circuit(n_qubits)
        for layer in range(n_layers):
            for i in range(n_qubits):
                circuit.ry(i, theta=x[i])
            for i in range(n_qubits):
                circuit.crz(i, (i + 1) % n_qubits, theta=params[layer, 0, i])
            for i in range(n_qubits):
                circuit.ry(i, theta=params[layer, 1, i])
            for i in range(n_qubits):
                circuit.crz(i, (i - 1) % n_qubits, theta=params[layer, 2, i])
            for i in range(n_qubits):
                circuit.ry(i, theta=params[layer, 3, i])
        # the state once and signed sums of it: quicker than one expectation_ps a wire
        chances = backend.abs(circuit.state()) ** 2
        halves = [chances.reshape(2**i, 2, -1).sum((0, 2)) for i in range(n_qubits)]
        return backend.stack([half[0] - half[1] for half in halves])

    return backend.vmap(expectations, vectorized_argnums=0)

"""TensorCircuit-NG on JAX: vmap over the batch, compiled by XLA, layers by scan.

XLA compiles again for every shape, so batches go through in pieces of one size. Written out gate by
gate (`unrolled`) it compiles many times as long, and past six qubits it runs faster.
"""

PACKAGES = ("tensorcircuit-ng", "jax")
PIECE = 2048


class Run:
    """A compiled function of a batch, and its pullback."""

    def __init__(self, values):
        import jax

        def with_gradients(inputs, params, grads):
            outputs, pull = jax.vjp(values, inputs, params)
            return outputs, *pull(grads)

        self.values, self.with_gradients = jax.jit(values), jax.jit(with_gradients)

    def tensor(self, array):
        import jax.numpy as jnp

        return jnp.asarray(array)

    def forward(self, inputs, params):
        import jax

        outputs = [self.values(x, params) for x in _pieces(inputs)]
        return jax.block_until_ready(outputs)

    def backward(self, inputs, params, grads):
        import jax
        import jax.numpy as jnp

        pairs = zip(_pieces(inputs), _pieces(grads), strict=True)
        outputs, of_inputs, of_params = zip(
            *(self.with_gradients(x, params, g) for x, g in pairs), strict=True
        )
        result = jnp.concatenate(outputs), jnp.concatenate(of_inputs), sum(of_params)
        return jax.block_until_ready(result)


def _pieces(array):
    return [array[i : i + PIECE] for i in range(0, len(array), PIECE)]


def build(n_qubits: int, n_layers: int, dtype: str, unrolled: bool = False) -> Run:
    import jax
    import tensorcircuit as tc

    jax.config.update("jax_enable_x64", dtype == "float64")
    backend = tc.set_backend("jax")
    tc.set_dtype("complex64" if dtype == "float32" else "complex128")

    def layer(circuit, x, angles):
        for i in range(n_qubits):
            circuit.ry(i, theta=x[i])
        for i in range(n_qubits):
            circuit.crz(i, (i + 1) % n_qubits, theta=angles[0, i])
        for i in range(n_qubits):
            circuit.ry(i, theta=angles[1, i])
        for i in range(n_qubits):
            circuit.crz(i, (i - 1) % n_qubits, theta=angles[2, i])
        for i in range(n_qubits):
            circuit.ry(i, theta=angles[3, i])
        return circuit

    def expectations(x, params):
        circuit = tc.Circuit(n_qubits)
        if unrolled:
            for index in range(n_layers):
                layer(circuit, x, params[index])
            state = circuit.state()
        else:
            state = backend.scan(
                lambda s, angles: layer(tc.Circuit(n_qubits, inputs=s), x, angles).state(),
                params,
                circuit.state(),
            )
        # the state once and signed sums of it: quicker than one expectation_ps a wire
        chances = backend.abs(state) ** 2
        halves = [chances.reshape(2**i, 2, -1).sum((0, 2)) for i in range(n_qubits)]
        return backend.stack([half[0] - half[1] for half in halves])

    return Run(backend.vmap(expectations, vectorized_argnums=0))

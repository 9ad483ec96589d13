"""DeepQuantum: gates with `encode` take the batch, through vmap.

The others hold shared parameters.
"""

PACKAGES = ("deepquantum", "torch")


class Run:
    """A circuit, whose shared angles are its own torch parameters."""

    def __init__(self, circuit, n_layers: int):
        self.circuit, self.n_layers, self.held = circuit, n_layers, None

    def tensor(self, array):
        import torch

        return torch.from_numpy(array)

    def values(self, inputs, params):
        import torch

        if params is not self.held:  # as after a step of an optimiser, which writes in place
            for parameter, value in zip(self.circuit.parameters(), params.reshape(-1), strict=True):
                parameter.data.fill_(value)
            self.held = params
        self.circuit(data=torch.cat([inputs] * self.n_layers, -1))
        return self.circuit.expectation()

    def forward(self, inputs, params):
        import torch

        with torch.no_grad():
            return self.values(inputs, params)

    def backward(self, inputs, params, grads):
        import torch

        inputs = inputs.detach().requires_grad_()
        values = self.values(inputs, params)
        parameters = tuple(self.circuit.parameters())
        of_inputs, *of_parameters = torch.autograd.grad(values, (inputs, *parameters), grads)
        return values.detach(), of_inputs, torch.stack(of_parameters).reshape(params.shape)


def build(n_qubits: int, n_layers: int, dtype: str) -> Run:
    import deepquantum as dq
    import torch

    circuit = dq.QubitCircuit(n_qubits)
    for _ in range(n_layers):
        for i in range(n_qubits):
            circuit.ry(i, encode=True)
        for step in (1, -1):
            for i in range(n_qubits):
                circuit.crz(i, (i + step) % n_qubits)
            for i in range(n_qubits):
                circuit.ry(i)
    for i in range(n_qubits):
        circuit.observable(i, basis="z")
    return Run(circuit.to(getattr(torch, dtype)), n_layers)

"""Engine `device:NAME`: any PennyLane device by name, with the device's own gradients.

The slow and independent way, kept to check the others. One circuit a sample, except on
`default.qubit`, which takes a batch. Computes in float64 whatever comes in.
"""

import functools
import importlib.metadata

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout, to_pennylane
from qtha_lab.settings import nearest

_BROADCASTING = "default.qubit"
_SUGGESTED = {
    "lightning.gpu": "pennylane-lightning-gpu",
    "lightning.kokkos": "pennylane-lightning-kokkos",
    "lightning.tensor": "pennylane-lightning-tensor",
    "qiskit.aer": "pennylane-qiskit",
    "cirq.simulator": "pennylane-cirq",
    "braket.local.qubit": "amazon-braket-pennylane-plugin",
}


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse a device that is not installed, or that does not start."""
    if readout.kind == "state":
        raise ValueError(f"engine {name!r} reads expectations and probabilities, not the state")
    _device(device_name(name), circuit.n_qubits)


def broadcasts(name: str) -> bool:
    """Whether the device takes a batch; others run one circuit a sample."""
    return device_name(name) == _BROADCASTING


def working_bytes(circuit: Circuit, batch: int, name: str) -> int:
    """Three complex double states, of the batch where it is broadcast, else of one sample."""
    samples = batch if broadcasts(name) else 1
    return 3 * 16 * 2**circuit.n_qubits * samples


def device_name(engine: str) -> str:
    """The PennyLane device in an engine's name."""
    return engine.partition(":")[2]


def run(circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str) -> Tensor:
    """What is read, (batch, readout size)."""
    dtype, where = inputs.dtype, inputs.device
    inputs, params = inputs.to("cpu", torch.float64), params.to("cpu", torch.float64)
    device = device_name(name)
    if broadcasts(name):
        node = _node(circuit, readout, device, "torch", "backprop")
        values = node(inputs, params)
        if readout.kind == "probs":
            return values[0].expand(len(inputs), -1).to(where, dtype)
        values = [torch.atleast_1d(v).expand(len(inputs)) for v in values]
        return torch.stack(values, -1).to(where, dtype)
    return _OneByOne.apply(inputs, params, circuit, readout, device).to(where, dtype)


class _OneByOne(torch.autograd.Function):
    """One circuit a sample through PennyLane's NumPy interface.

    Its torch interface would round to torch's default dtype, float32.
    """

    @staticmethod
    def forward(
        ctx, inputs: Tensor, params: Tensor, circuit: Circuit, readout: Readout, device: str
    ) -> Tensor:
        ctx.save_for_backward(inputs, params)
        ctx.circuit, ctx.readout, ctx.device = circuit, readout, device
        node = _node(circuit, readout, device, "autograd", _method(device))
        values = [np.hstack(node(x, params.numpy())) for x in inputs.numpy()]
        return torch.from_numpy(np.stack(values)).to(torch.float64)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad: Tensor):
        import pennylane as qml

        inputs, params = ctx.saved_tensors
        node = _node(ctx.circuit, ctx.readout, ctx.device, "autograd", _method(ctx.device))
        wanted = [i for i, tensor in enumerate((inputs, params)) if tensor.shape[-1]]
        grads = [torch.zeros_like(inputs), torch.zeros_like(params)]
        if not wanted:
            return (*grads, None, None, None)
        slopes = qml.grad(lambda x, p, g: qml.math.dot(g, qml.math.hstack(node(x, p))), wanted)
        for row, (x, g) in enumerate(zip(inputs.numpy(), grad.numpy(), strict=True)):
            arrays = [qml.numpy.array(a, requires_grad=True) for a in (x, params.numpy())]
            found = slopes(*arrays, qml.numpy.array(g, requires_grad=False))
            for i, slope in zip(wanted, found, strict=True):
                grads[i][row if i == 0 else ...] += torch.from_numpy(np.array(slope))
        return (*grads, None, None, None)


def _method(device: str) -> str:
    return "adjoint" if device.startswith("lightning.") else "best"


@functools.lru_cache(maxsize=64)
def _node(circuit: Circuit, readout: Readout, device: str, interface: str, method: str):
    import pennylane as qml

    def z_string(wires: tuple[int, ...]):
        return qml.prod(*map(qml.PauliZ, wires)) if wires else qml.Identity(0)

    def measured(inputs, params):
        to_pennylane(circuit, inputs, params)
        if readout.kind == "probs":
            return [qml.probs(wires=range(circuit.n_qubits))]
        return [qml.expval(z_string(wires)) for wires in readout.strings]

    made = _device(device, circuit.n_qubits)
    return qml.QNode(measured, made, interface=interface, diff_method=method)


@functools.lru_cache(maxsize=64)
def _device(device: str, n_qubits: int):
    import pennylane as qml

    installed = set(importlib.metadata.entry_points(group="pennylane.plugins").names)
    if device not in installed:
        close = nearest(device, installed)
        hint = f": did you mean {close!r}?" if close else "."
        package = f" pip install {_SUGGESTED[device]}" if device in _SUGGESTED else ""
        raise ValueError(
            f"no PennyLane device {device!r} is installed{(package and ';' + package) or hint}"
        )
    try:
        return qml.device(device, wires=n_qubits)
    except Exception as reason:  # plugins raise whatever they like
        raise ValueError(f"PennyLane device {device!r} does not start: {reason}") from reason

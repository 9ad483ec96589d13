"""Engine `device:NAME`: any PennyLane device by name, with the device's own gradients.

The slow and independent way, kept to check the others. One circuit a sample, except on
`default.qubit`, which takes a batch. Computes in float64 whatever comes in.
"""

import functools
import importlib.metadata

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, to_pennylane
from qtha_lab.settings import nearest

_ADJOINT = "lightning."
_SUGGESTED = {
    "lightning.gpu": "pennylane-lightning-gpu",
    "lightning.kokkos": "pennylane-lightning-kokkos",
    "lightning.tensor": "pennylane-lightning-tensor",
    "qiskit.aer": "pennylane-qiskit",
    "cirq.simulator": "pennylane-cirq",
    "braket.local.qubit": "amazon-braket-pennylane-plugin",
}


def check(circuit: Circuit, name: str) -> None:
    """Refuse a device that is not installed, or that does not start."""
    _device(device_name(name), circuit.n_qubits)


def device_name(engine: str) -> str:
    """The PennyLane device in an engine's name."""
    return engine.partition(":")[2]


def run(circuit: Circuit, inputs: Tensor, params: Tensor, name: str) -> Tensor:
    """⟨Z⟩ of every qubit, (batch, n_qubits)."""
    dtype, where = inputs.dtype, inputs.device
    inputs, params = inputs.to("cpu", torch.float64), params.to("cpu", torch.float64)
    device = device_name(name)
    node = _node(circuit, device)
    if device == "default.qubit" and circuit.n_inputs:
        values = torch.stack(list(node(inputs, params)), -1)
    else:
        values = torch.stack([torch.stack(list(node(sample, params))) for sample in inputs])
    return values.to(where, dtype)


@functools.lru_cache(maxsize=64)
def _node(circuit: Circuit, device: str):
    import pennylane as qml

    def measured(inputs, params):
        to_pennylane(circuit, inputs, params)
        return [qml.expval(qml.PauliZ(wire)) for wire in range(circuit.n_qubits)]

    method = "backprop" if device == "default.qubit" else "best"
    if device.startswith(_ADJOINT):
        method = "adjoint"
    made = _device(device, circuit.n_qubits)
    return qml.QNode(measured, made, interface="torch", diff_method=method)


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

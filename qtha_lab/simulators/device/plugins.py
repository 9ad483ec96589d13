"""Installed PennyLane devices: lookup by name, options and creation.

Runs no circuit.
"""

import functools
import importlib.metadata
import inspect
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import entry_points
from qtha_lab.core.settings import nearest

_PACKAGES = {  # by the beginning of a device's name
    "lightning.gpu": "pennylane-lightning-gpu",
    "lightning.kokkos": "pennylane-lightning-kokkos",
    "lightning.tensor": "pennylane-lightning-tensor",
    "lightning.amdgpu": "pennylane-lightning-amdgpu",
    "qiskit.": "pennylane-qiskit",
    "cirq.": "pennylane-cirq",
    "braket.": "amazon-braket-pennylane-plugin",
    "ionq.": "pennylane-ionq",
    "aqt.": "pennylane-aqt",
    "rigetti.": "pennylane-rigetti",
    "qulacs.": "pennylane-qulacs",
    "qrack.": "pennylane-qrack",
}
_LOCAL = ("pennylane.", "pennylane_lightning.")


def start_device(
    device: str, n_qubits: int, device_options: tuple[tuple[str, Any], ...], seed: int | None = None
):
    """Create a PennyLane device.

    Args:
        device: PennyLane's name of the device, such as "default.qubit".
        n_qubits: Number of wires.
        device_options: Names and values of the device's own options.
        seed: Seed of the samples; None: the device's default.

    Returns:
        The device, on wires 0 to n_qubits - 1.

    Raises:
        Refusal: If the device is not installed or cannot be created; includes the plugin's message.

    Example:
        >>> start_device("default.mixed", 2, (("readout_prob", 0.1),)).name
        'default.mixed'
    """
    import pennylane as qml

    _entry(device)
    arguments = dict(device_options) if seed is None else {**dict(device_options), "seed": seed}
    try:
        return qml.device(device, wires=n_qubits, **arguments)
    except Exception as reason:  # plugins raise exceptions of any type
        words = " ".join(str(reason).split())
        raise Refusal(
            f"PennyLane device {device!r} must start with these options, got: {words}"
        ) from reason


def is_local(device: str) -> bool:
    """Return True if the device is a simulator of PennyLane or Lightning, not another plugin."""
    return _entry(device).value.startswith(_LOCAL)


@functools.lru_cache(maxsize=64)
def own_options(device: str) -> frozenset[str] | None:
    """Return the option names of the device's class, or None for arbitrary options.

    Example:
        >>> sorted(own_options("default.mixed"))
        ['readout_prob']
    """
    parameters = inspect.signature(_class(device).__init__).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    names = {p.name for p in parameters if p.kind is not p.VAR_POSITIONAL}
    return frozenset(names - {"self", "wires", "shots", "seed"})


def takes_seed(device: str) -> bool:
    """Return True if a seed fixes the device's samples."""
    return "seed" in inspect.signature(_class(device).__init__).parameters


def _class(device: str) -> type:
    entry = _entry(device)
    try:
        return entry.load()
    except Exception as reason:
        words = " ".join(str(reason).split())
        raise Refusal(f"PennyLane device {device!r} must load here, got: {words}") from reason


def _entry(device: str) -> importlib.metadata.EntryPoint:
    installed = entry_points("pennylane.plugins")
    if device in installed.names:
        return installed[device]
    package = next((p for prefix, p in _PACKAGES.items() if device.startswith(prefix)), None)
    if package:
        raise Refusal(f"PennyLane device {device!r} must be installed. Run pip install {package}.")
    close = nearest(device, installed.names)
    hint = f": did you mean {close!r}?" if close else "."
    names = ", ".join(sorted(installed.names))
    raise Refusal(f"PennyLane device {device!r} must be installed{hint} Installed: {names}")

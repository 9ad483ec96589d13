"""PennyLane devices by name: which are installed, what options they take, how they start.

Runs no circuit.
"""

import functools
import importlib.metadata
import inspect
from typing import Any

from qtha_lab.core.entry_points import entry_points
from qtha_lab.core.errors import Refusal
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


def start(
    device: str, n_qubits: int, device_options: tuple[tuple[str, Any], ...], seed: int | None = None
):
    """A new PennyLane device.

    Args:
        device: PennyLane's name of it, such as "default.qubit".
        n_qubits: Its wires.
        device_options: Names and values of options of the device's own.
        seed: Of its samples; None leaves it to the device.

    Returns:
        The device, on wires 0 to n_qubits - 1.

    Raises:
        Refusal: If it is not installed, or does not start, with the plugin's own words.

    Example:
        >>> start("default.mixed", 2, (("readout_prob", 0.1),)).name
        'default.mixed'
    """
    import pennylane as qml

    _entry(device)
    arguments = dict(device_options) if seed is None else {**dict(device_options), "seed": seed}
    try:
        return qml.device(device, wires=n_qubits, **arguments)
    except Exception as reason:  # plugins raise whatever they like
        words = " ".join(str(reason).split())
        raise Refusal(f"PennyLane device {device!r} does not start: {words}") from reason


def is_local(device: str) -> bool:
    """Whether the device is a simulator of PennyLane or Lightning, not a plugin of others."""
    return _entry(device).value.startswith(_LOCAL)


@functools.lru_cache(maxsize=64)
def own_options(device: str) -> frozenset[str] | None:
    """Names of the options the device's class takes, or None if it takes any.

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
    """Whether the device's samples can be fixed by a seed."""
    return "seed" in inspect.signature(_class(device).__init__).parameters


def _class(device: str) -> type:
    try:
        return _entry(device).load()
    except Exception as reason:
        words = " ".join(str(reason).split())
        raise Refusal(f"PennyLane device {device!r} does not load: {words}") from reason


def _entry(device: str) -> importlib.metadata.EntryPoint:
    installed = entry_points("pennylane.plugins")
    if device in installed.names:
        return installed[device]
    package = next((p for prefix, p in _PACKAGES.items() if device.startswith(prefix)), None)
    if package:
        raise Refusal(f"no PennyLane device {device!r} is installed; pip install {package}")
    close = nearest(device, installed.names)
    hint = f": did you mean {close!r}?" if close else "."
    names = ", ".join(sorted(installed.names))
    raise Refusal(f"no PennyLane device {device!r} is installed{hint} Installed: {names}")

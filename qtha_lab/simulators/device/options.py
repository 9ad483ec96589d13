"""Options of `device:NAME(option=value, …)`: shots, noise, gradients.

Parses and checks the text. Other options are passed to the device, if its class has them.

Runs no circuit.
"""

import dataclasses
import functools
import importlib.metadata
import inspect
from typing import Any, Literal

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.registry import entry_points
from qtha_lab.core.settings import check_settings, nearest, setting, settings_of, unknown
from qtha_lab.core.settings_help import with_arguments

# [R] methods.md 1.8 does not specify it: depolarizing with probability p leaves the qubits fully
# mixed
PRESETS = {
    "wukong": {
        "shots": 1000,
        "basis": "u3_cz",
        "depolarizing_1q": 0.01,
        "depolarizing_2q": 0.1,
        "readout_0to1": 0.05,
        "readout_1to0": 0.1,
    },
}


@with_arguments
@dataclasses.dataclass(frozen=True)
class DeviceOptions:
    """Options of engine `device:NAME`, in addition to those of the device itself.

    Source:
        The preset "wukong": the noise model in the QTHA authors' code, without its 20-qubit grid,
        so two-qubit gates act on any pair and need no SWAPs.
    """

    shots: int | None = setting(None, "Samples a circuit; none: exact.", ge=1)
    seed: int | None = setting(None, "The same call then draws the same samples.", ge=0)
    noise: Literal["wukong"] | None = setting(
        None, "Preset of shots, basis and noise; options given beside it win."
    )
    basis: Literal["u3_cz"] | None = setting(
        None,
        "Rewrite the circuit in U3 and CZ, one U3 between two CZ, before noise is added.",
    )
    depolarizing_1q: float = setting(
        0.0, "Chance that a one-qubit gate leaves its qubit fully mixed.", ge=0.0, le=1.0
    )
    depolarizing_2q: float = setting(
        0.0, "Chance that a two-qubit gate leaves its qubits fully mixed.", ge=0.0, le=1.0
    )
    readout_0to1: float = setting(0.0, "Chance that a 0 is read as 1.", ge=0.0, le=1.0)
    readout_1to0: float = setting(0.0, "Chance that a 1 is read as 0.", ge=0.0, le=1.0)
    gradients: Literal["best", "parameter-shift"] = setting(
        "best", "How to differentiate: as the device does it best, or as a machine must."
    )

    def __post_init__(self):
        check_settings(self)

    @property
    def is_noisy(self) -> bool:
        """True if any noise channel is added."""
        return any(
            (self.depolarizing_1q, self.depolarizing_2q, self.readout_0to1, self.readout_1to0)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Spec:
    """Parsed engine name: device, options of the engine, and options of the device."""

    device: str
    options: DeviceOptions
    own: tuple[tuple[str, Any], ...]


@functools.lru_cache(maxsize=64)
def parse_engine(engine: str) -> Spec:
    """Parse an engine's name.

    Raises:
        Refusal: If the device is not installed, an option is unknown, or a value is out of range.

    Example:
        >>> parse_engine("device:default.mixed(noise=wukong,shots=50)").options.depolarizing_2q
        0.1
        >>> parse_engine("device:default.qubit(shots=0)")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: shots must be at least 1, got 0.
    """
    device, options = call_syntax.parse_call(engine.partition(":")[2], "device")
    names = list(settings_of(DeviceOptions))
    device_names = own_options(device)
    for name in options:
        if name not in names and device_names is not None and name not in device_names:
            raise unknown(f"option of device:{device}", name, [*names, *device_names])
    device_options = {name: options.pop(name) for name in list(options) if name not in names}
    preset = options.get("noise")
    if isinstance(preset, str):
        options = {**PRESETS.get(preset, {}), **options}
    return Spec(device, DeviceOptions(**options), tuple(device_options.items()))


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

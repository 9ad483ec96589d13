"""Options and noise of `device:NAME(option=value, …)`, as `qml.NoiseModel`, U3 and CZ gates.

Parses and checks the text. Other options are passed to the device, if its class has them.
No channel depends on the angles, so parameter-shift stays exact. There is no qubit routing: a CZ
may act on any two qubits without SWAPs. Runs no circuit.
"""

import dataclasses
import functools
import importlib.metadata
import inspect
import itertools
from typing import Any, Literal

import numpy as np
import pennylane as qml
from pennylane.operation import StatePrepBase

from qtha_lab.circuits import Angle, Circuit, Gate
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
    }
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
        None, "Rewrite the circuit in U3 and CZ, one U3 between two CZ, before noise is added."
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


def in_rotations_and_cz(circuit: Circuit) -> Circuit:
    """Rewrite a circuit in one-qubit gates and CZ.

    Each angle stays scale · source + offset. `qml.transforms.decompose` would leave the choice of
    gates, and so the strength of the noise, to the version of PennyLane.

    Example:
        >>> circuit = Circuit(2, [Gate("CRZ", (0, 1), Angle.input(0))])
        >>> [gate.name for gate in in_rotations_and_cz(circuit).gates]
        ['RZ', 'Hadamard', 'CZ', 'Hadamard', 'RZ', 'Hadamard', 'CZ', 'Hadamard']
    """
    gates: list[Gate] = []
    for gate in circuit.gates:
        if len(gate.wires) == 1 or gate.name == "CZ":
            gates.append(gate)
        else:
            gates += [gate for part in gate.parts() for gate in _single_gates(*part)]
    return Circuit(circuit.n_qubits, gates, circuit.start)


def _single_gates(kind: str, wires: tuple[int, ...], angle: Angle | None) -> list[Gate]:
    """Rewrite a part of a gate (see `GateKind`) in RY, RZ, X, H and CZ."""
    if angle is None:
        if kind == "X":
            return [Gate("PauliX", wires)]
        hadamard = Gate("Hadamard", wires[1])
        return [hadamard, Gate("CZ", wires), hadamard]
    if kind == "Y":
        return [Gate("RY", wires, angle)]
    ladder = [_single_gates("CNOT", pair, None) for pair in itertools.pairwise(wires)]
    rotation = Gate("RZ", wires[-1], angle)
    return [*itertools.chain(*ladder), rotation, *itertools.chain(*ladder[::-1])]


@qml.transform
def mark_u3(tape):
    """Insert an identity for noise behind one-qubit gates that form one U3.

    `qml.transforms.single_qubit_fusion` drops a rotation by 0, which is a gate on hardware, and its
    gradients are nan at some angles.
    """
    open_wires, operations = set(), []
    for operation in tape.operations:
        if len(operation.wires) == 1:
            open_wires |= {*operation.wires}
        else:
            operations += [qml.Identity(wire) for wire in operation.wires if wire in open_wires]
            open_wires -= {*operation.wires}
        operations.append(operation)
    operations += [qml.Identity(wire) for wire in sorted(open_wires)]
    return [tape.copy(operations=operations)], lambda results: results[0]


def noise_model(options: DeviceOptions, n_qubits: int) -> qml.NoiseModel:
    """Return depolarizing channels after gates, and read-out errors before measurements."""

    def is_single(operation, **_) -> bool:
        if options.basis:
            return isinstance(operation, qml.Identity)
        return len(operation.wires) == 1 and not isinstance(operation, StatePrepBase)

    def is_wide(operation, **_) -> bool:
        return len(operation.wires) > 1 and not isinstance(operation, StatePrepBase)

    def depolarize(chance: float, operation, **_) -> None:
        qml.QubitChannel(_depolarizing(chance, len(operation.wires)), wires=operation.wires)

    def misread(_, **__) -> None:
        for wire in range(n_qubits):
            qml.QubitChannel(_readout(options.readout_0to1, options.readout_1to0), wires=wire)

    chances = {is_single: options.depolarizing_1q, is_wide: options.depolarizing_2q}
    of_gates = {
        qml.BooleanFn(applies): functools.partial(depolarize, chance)
        for applies, chance in chances.items()
        if chance
    }
    is_misread = options.readout_0to1 or options.readout_1to0
    return qml.NoiseModel(of_gates, {qml.BooleanFn(lambda _: True): misread} if is_misread else {})


@functools.cache
def _depolarizing(chance: float, n_wires: int) -> list[np.ndarray]:
    """Return the Kraus operators of ρ → (1 - chance) ρ + chance · I/2^n.

    A uniformly random Pauli string out of 4^n leaves any state fully mixed. So each string acts
    with probability chance/4^n, and the identity with 1 - chance more. PennyLane's
    `DepolarizingChannel` acts on one qubit only, and counts X, Y and Z.
    """
    kron: Any = np.kron
    paulis = [qml.matrix(pauli(0)) for pauli in (qml.Identity, qml.X, qml.Y, qml.Z)]
    strings = [functools.reduce(kron, s) for s in itertools.product(paulis, repeat=n_wires)]
    share = chance / 4**n_wires
    weights = [1 - chance + share] + [share] * (len(strings) - 1)
    return [np.sqrt(w) * string for w, string in zip(weights, strings, strict=True)]


@functools.cache
def _readout(up: float, down: float) -> list[np.ndarray]:
    """Return the Kraus operators of a read-out error.

    0 is read as 1 with probability `up`, and 1 as 0 with `down`.
    """
    entries = [(0, 0, 1 - up), (1, 0, up), (1, 1, 1 - down), (0, 1, down)]
    kraus = np.zeros((4, 2, 2))
    for number, (row, column, chance) in enumerate(entries):
        kraus[number, row, column] = np.sqrt(chance)
    return list(kraus)

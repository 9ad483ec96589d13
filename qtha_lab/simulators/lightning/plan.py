"""Layers of a circuit for a register that holds a whole batch (engine `lightning`).

Layers of Y-rotations, of phases and of flips (X, CNOT), in execution order. Commuting gates are
grouped and their angles added. Flips stay gates, since Lightning runs them at memory speed. No
data.
"""

import dataclasses
import functools
import importlib
import importlib.util
import logging
from types import ModuleType
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.circuits.elementary_gates import Part
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.program import Sum

Kind = Literal["rotations", "phases", "flips"]
SMALL_QUBITS = 12  # up to this size the tables of signs are cached
_KINDS: dict[str, Kind] = {"Y": "rotations", "Z": "phases", "X": "flips", "CNOT": "flips"}


@dataclasses.dataclass
class RegisterLayer:
    """Layer of commuting gates, or of flips in their order.

    `angles` maps every rotated wire (the mask of its bit) or Z-string (the mask of its bits) to a
    `Sum`; `flips` holds Lightning's gate names with their wires. `plan` sets `sums`, the rows of
    the layer among all sums. It also sets `sampled`, the layer's rows among layers that depend on
    inputs, or None for a layer without inputs.
    """

    kind: Kind
    angles: dict[int, Sum] = dataclasses.field(default_factory=dict)
    flips: list[tuple[str, list[int]]] = dataclasses.field(default_factory=list)
    moved: int = 0  # mask of the target wires of flips
    held: int = 0  # mask of the control wires of flips
    sums: slice = dataclasses.field(default_factory=lambda: slice(0, 0))
    sampled: slice | None = None

    @property
    def masks(self) -> tuple[int, ...]:
        """Bit mask of wires per gate; bit k is wire n_qubits - 1 - k."""
        return tuple(self.angles)

    def lets_pass(self, kind: Kind, mask: int) -> bool:
        """Return True if a gate on the wires of `mask` commutes with the layer."""
        if kind == self.kind:
            return kind != "flips"
        touched = self.moved | (self.held if kind == "rotations" else 0)
        for rotated in self.angles:
            touched |= rotated
        return not touched & mask


@dataclasses.dataclass(frozen=True)
class RegisterPlan:
    """Layers, and linear maps from parameters (float64) and inputs to their angles.

    `of_params` (sums, n_params) and `offsets` (sums,) give the part of every sum that the batch
    shares. `of_inputs` (sampled sums, n_inputs) gives the part per sample, for the sums listed in
    `sampled`. `readout` holds the mask of every observed Z-string, None for probabilities.
    """

    n_qubits: int
    layers: tuple[RegisterLayer, ...]
    of_params: Tensor
    offsets: Tensor
    of_inputs: Tensor
    sampled: Tensor
    readout: tuple[int, ...] | None
    start: str

    def wires(self, mask: int) -> list[int]:
        """Return the wires of a mask; wire 0 is the most significant bit."""
        return [w for w in range(self.n_qubits) if mask & self.bit(w)]

    def bit(self, wire: int) -> int:
        """Return the mask of one wire."""
        return 1 << (self.n_qubits - 1 - wire)


@functools.lru_cache(maxsize=64)
def plan(circuit: Circuit, readout: Readout) -> RegisterPlan:
    """Group a circuit into layers.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> cut = plan(build("qtha", n_qubits=3, n_layers=2), Readout.z(3))
        >>> [(layer.kind, layer.sampled is not None) for layer in cut.layers][:5]
        [('rotations', True), ('phases', False), ('rotations', False), ('phases', False),
         ('rotations', True)]
    """
    layers: list[RegisterLayer] = []
    for gate in circuit.gates:
        for part in gate.parts():
            _place(layers, part, circuit)
    while layers and layers[-1].kind == "phases":  # no effect on Z-strings or probabilities
        layers.pop()
    sums = _number(layers)
    sampled = [row for layer in layers if layer.sampled for row in range(*_ends(layer.sums))]
    strings = readout.kind == "strings"
    return RegisterPlan(
        circuit.n_qubits,
        tuple(layers),
        _matrix([s.params for s in sums], circuit.n_params),
        torch.tensor([s.offset for s in sums], dtype=torch.float64),
        _matrix([sums[row].inputs for row in sampled], circuit.n_inputs),
        torch.tensor(sampled, dtype=torch.long),
        tuple(_mask(wires, circuit.n_qubits) for wires in readout.strings) if strings else None,
        circuit.start,
    )


def signs(n_qubits: int, masks: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """Return ±1 for every Z-string and basis state.

    Small tables are cached, so never change the result in place.

    Args:
        n_qubits: Number of qubits; wire 0 is the most significant bit of a basis state.
        masks: Bits of the wires in every Z-string.
        dtype: Dtype of the result.

    Returns:
        (masks, 2^n_qubits), -1 where a basis state has an odd number of the mask's bits.

    Example:
        >>> signs(2, (0b10, 0b11), torch.float32)
        tensor([[ 1.,  1., -1., -1.],
                [ 1., -1., -1.,  1.]])
    """
    make = _small_signs if n_qubits <= SMALL_QUBITS else _signs
    return make(n_qubits, masks, dtype)


def _signs(n_qubits: int, masks: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    rows = torch.arange(2**n_qubits)
    signs = torch.ones(len(masks), 2**n_qubits, dtype=dtype)
    for line, mask in zip(signs, masks, strict=True):
        for place in range(n_qubits):
            if mask >> place & 1:
                line *= 1 - 2 * (rows >> place & 1)
    return signs


_small_signs = functools.lru_cache(maxsize=64)(_signs)


def _place(layers: list[RegisterLayer], part: Part, circuit: Circuit) -> None:
    """Add a gate part to the earliest possible layer, else to a new one."""
    name, wires, angle = part
    kind, mask = _KINDS[name], _mask(wires, circuit.n_qubits)
    target_layer = None
    for layer in reversed(layers):
        target_layer = layer if layer.kind == kind else target_layer
        if not layer.lets_pass(kind, mask):
            break
    else:
        if kind == "phases" and circuit.start == "zero":
            return  # a phase that acts on |0…0⟩ is global
    if target_layer is None:
        target_layer = RegisterLayer(kind)
        layers.append(target_layer)
    if angle is not None:
        target_layer.angles[mask] = target_layer.angles.get(mask, Sum()) + Sum.of(angle, 1)
        return
    target = _mask(wires[-1:], circuit.n_qubits)
    target_layer.flips.append(("PauliX" if name == "X" else name, list(wires)))
    target_layer.moved |= target
    target_layer.held |= mask & ~target


def _number(layers: list[RegisterLayer]) -> list[Sum]:
    """Assign rows of sums to every layer; return the sums in their order."""
    sums: list[Sum] = []
    n_sampled = 0
    for layer in layers:
        angles = list(layer.angles.values())
        layer.sums = slice(len(sums), len(sums) + len(angles))
        if any(s.inputs for s in angles):
            layer.sampled = slice(n_sampled, n_sampled + len(angles))
            n_sampled += len(angles)
        sums += angles
    return sums


def _ends(rows: slice) -> tuple[int, int]:
    return rows.start, rows.stop


def _matrix(terms: list[tuple[tuple[int, float], ...]], columns: int) -> Tensor:
    matrix = torch.zeros(len(terms), columns, dtype=torch.float64)
    for row, of_row in enumerate(terms):
        for column, scale in of_row:
            matrix[row, column] = scale
    return matrix


def _mask(wires: tuple[int, ...], n_qubits: int) -> int:
    return sum(1 << (n_qubits - 1 - wire) for wire in wires)


log = logging.getLogger(__name__)

GateCall = tuple[str, list[int], tuple[float, ...]]  # Lightning's name, wires, angles
BACKENDS = {
    "lightning": "qubit",
    "lightning.qubit": "qubit",
    "lightning.kokkos": "kokkos",
    "lightning.gpu": "gpu",
}


@functools.cache
def load(engine: str) -> ModuleType:
    """Import the compiled Lightning module of an engine.

    Raises:
        Refusal: If the module is not installed (the message names the pip package) or does not
            start.
    """
    backend = BACKENDS[engine]
    name = f"pennylane_lightning.lightning_{backend}_ops"
    package = "pennylane-lightning" + ("" if backend == "qubit" else f"-{backend}")
    if not _installed(name):
        raise Refusal(f"Engine {engine!r} must be installed. Run pip install {package}.")
    try:
        module = importlib.import_module(name)
        module.StateVectorC64(1)
        log.debug("%s starts", name)
    except Exception as reason:  # no driver, no GPU, a wrong library: exceptions of any type
        raise Refusal(f"Engine {engine!r} must start on this machine, got: {reason}") from reason
    return module


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False


class Register:
    """Register of 2^n_wires amplitudes; axis 0 of a shape starts with the first wire.

    Example:
        >>> register = Register("lightning", 2, torch.float32)
        >>> _ = register.change(4).copy_(torch.tensor([1, 0, 0, 0]))
        >>> register.apply([("PauliX", [0], ())])
        >>> register.look(4).real
        tensor([0., 0., 1., 0.])
    """

    def __init__(self, engine: str, n_wires: int, dtype: torch.dtype):
        module = load(engine)
        single = dtype == torch.float32
        self._inside = (module.StateVectorC64 if single else module.StateVectorC128)(n_wires)
        self._array = np.empty(2**n_wires, np.complex64 if single else np.complex128)
        self._host = torch.from_numpy(self._array)
        self._host_is_new = self._inside_is_new = True
        self._copies = _copies(self._inside)

    def look(self, *shape: int) -> Tensor:
        """Return the amplitudes for reading, valid until the next gate."""
        if not self._host_is_new:
            self._copies[1](self._array)
            self._host_is_new = True
        return self._host.view(shape)

    def change(self, *shape: int) -> Tensor:
        """Return the amplitudes for writing, valid until the next gate."""
        self._inside_is_new = False
        return self.look(*shape)

    def apply(self, gates: list[GateCall], inverse: bool = False) -> None:
        """Run gates in Lightning, or their inverses from the last to the first."""
        if not gates:
            return
        if not self._inside_is_new:
            self._copies[0](self._array)
            self._inside_is_new = True
        self._host_is_new = False
        for name, wires, angles in reversed(gates) if inverse else gates:
            getattr(self._inside, name)(wires, inverse, angles)


def _copies(inside) -> tuple:
    """Return the functions that copy amplitudes in and out; each Lightning has its own names."""
    if hasattr(inside, "getState"):
        return inside.updateData, inside.getState
    if hasattr(inside, "updateData"):  # lightning.gpu: the second argument is `async`
        return lambda a: inside.HostToDevice(a, False), lambda a: inside.DeviceToHost(a, False)
    return inside.HostToDevice, inside.DeviceToHost

"""Circuit compiler of the engines: alternating layers of Y-rotations and Z-phases.

CNOT, X and SWAP only permute basis states, so they are not executed. A frame tracks the
permutation, and later gates act in this frame. Commuting gates are grouped, and the angles of equal
rotations are added. No tensors.
"""

import dataclasses
import functools
from typing import Any

from qtha_lab.circuits import Angle, Circuit, Readout
from qtha_lab.circuits.gates import Gate


@dataclasses.dataclass(frozen=True)
class Sum:
    """Angle as a linear function: offset + Σ scale·x[index] + Σ scale·p[index]."""

    inputs: tuple[tuple[int, float], ...] = ()
    params: tuple[tuple[int, float], ...] = ()
    offset: float = 0.0

    @classmethod
    def of(cls, angle: Angle, sign: int) -> "Sum":
        """Return the angle of a gate, times 1 or -1."""
        term = ((angle.index, sign * angle.scale),)
        return cls(
            term if angle.source == "input" else (),
            term if angle.source == "param" else (),
            sign * angle.offset,
        )

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(
            _merge(self.inputs + other.inputs),
            _merge(self.params + other.params),
            self.offset + other.offset,
        )

    @property
    def shared(self) -> "Sum":
        """Part of the angle that all samples share."""
        return Sum((), self.params, self.offset)


def _merge(terms: tuple[tuple[int, float], ...]) -> tuple[tuple[int, float], ...]:
    scales: dict[int, float] = {}
    for index, scale in terms:
        scales[index] = scales.get(index, 0.0) + scale
    return tuple((index, scale) for index, scale in sorted(scales.items()) if scale)


@dataclasses.dataclass(frozen=True)
class Rotation:
    """Rotation about a Pauli Y between rows k and k ^ flip.

    The operator is exp(-i a/2 P), with P as Pauli Y. The row with even parity of k & zmask takes
    the part of |0⟩. Without a preceding CNOT, flip and zmask both equal the bit of the wire.
    """

    flip: int
    zmask: int

    def commutes_with_phase(self, mask: int) -> bool:
        """Return True if the rotation commutes with a phase of the Z-string `mask`."""
        return _even(self.flip & mask)

    def commutes_with(self, other: "Rotation") -> bool:
        """Return True if the Pauli strings of two rotations commute."""
        return _even(self.flip & other.zmask) == _even(other.flip & self.zmask)

    def is_independent_of(self, other: "Rotation") -> bool:
        """Return True if two rotations act like gates on two different wires."""
        return _even(self.flip & other.zmask) and _even(other.flip & self.zmask)


@dataclasses.dataclass
class Rotations:
    """Layer of Y-rotations that act like gates on different wires."""

    angles: dict[Rotation, Sum] = dataclasses.field(default_factory=dict)

    def accepts(self, op: "Rotation | int") -> bool:
        """Return True if this layer can take a rotation, or a phase with a mask."""
        return isinstance(op, Rotation) and all(
            op == t or op.is_independent_of(t) for t in self.angles
        )

    def commutes_with(self, op: "Rotation | int") -> bool:
        """Return True if a rotation, or a phase with a mask, commutes with the layer."""
        if isinstance(op, Rotation):
            return all(op.commutes_with(t) for t in self.angles)
        return all(t.commutes_with_phase(op) for t in self.angles)


@dataclasses.dataclass
class Phases:
    """Layer of phases exp(-i a/2 Z…Z), one per mask of a Z-string."""

    angles: dict[int, Sum] = dataclasses.field(default_factory=dict)

    def accepts(self, op: "Rotation | int") -> bool:
        """Return True if this layer can take a rotation, or a phase with a mask."""
        return not isinstance(op, Rotation)

    def commutes_with(self, op: "Rotation | int") -> bool:
        """Return True if a rotation, or a phase with a mask, commutes with the layer."""
        return not isinstance(op, Rotation) or all(op.commutes_with_phase(m) for m in self.angles)


Layer = Rotations | Phases


@dataclasses.dataclass(frozen=True)
class Program:
    """Compiled circuit: layers to apply to the initial state, and the read-out.

    `readout` holds a pair (mask, sign) per observed Z-string. `wires` holds such a pair for Z of
    every wire: bit `wire` of a row's basis state is the parity of row & mask, inverted for sign -1.
    """

    n_qubits: int
    n_inputs: int
    n_params: int
    layers: tuple[Layer, ...]
    readout: tuple[tuple[int, int], ...]
    wires: tuple[tuple[int, int], ...]
    start: str

    def basis_states(self) -> list[int]:
        """Return the basis state of each row, (2^n,)."""
        return [
            sum(
                ((row & mask).bit_count() % 2 ^ (sign < 0)) << (self.n_qubits - 1 - wire)
                for wire, (mask, sign) in enumerate(self.wires)
            )
            for row in range(2**self.n_qubits)
        ]


class _Frame:
    """Permutation of the basis states by X and CNOT gates that were not applied."""

    def __init__(self, n_qubits: int):
        self.flip = [1 << (n_qubits - 1 - wire) for wire in range(n_qubits)]
        self.zmask = list(self.flip)
        self.sign = [1] * n_qubits

    def x(self, wire: int) -> None:
        self.sign[wire] = -self.sign[wire]

    def cnot(self, control: int, target: int) -> None:
        self.zmask[target] ^= self.zmask[control]
        self.sign[target] *= self.sign[control]
        self.flip[control] ^= self.flip[target]

    def z_string(self, wires: tuple[int, ...]) -> tuple[int, int]:
        mask, sign = 0, 1
        for wire in wires:
            mask ^= self.zmask[wire]
            sign *= self.sign[wire]
        return mask, sign


@functools.lru_cache(maxsize=256)
def compile_circuit(circuit: Circuit, readout: Readout | None = None) -> Program:
    """Compile a circuit and its read-out (default: Z of every wire).

    Up to a global phase the layers equal the circuit. Phases that do not affect the read-out are
    dropped.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> program = compile_circuit(build("qtha", n_qubits=3, n_layers=2))
        >>> [type(layer).__name__[0] for layer in program.layers]
        ['R', 'P', 'R', 'P', 'R', 'P', 'R', 'P', 'R']
    """
    circuit, _ = without_products(circuit)
    readout = readout or Readout.z(circuit.n_qubits)
    frame = _Frame(circuit.n_qubits)
    layers: list[Layer] = []
    for gate in circuit.gates:
        for kind, wires, angle in gate.parts():
            if angle is None:
                move = frame.x if kind == "X" else frame.cnot
                move(*wires)
            else:
                op, sign = _in_frame(frame, kind, wires)
                _place(layers, op, Sum.of(angle, sign), circuit.start)
    return Program(
        circuit.n_qubits,
        circuit.n_inputs,
        circuit.n_params,
        tuple(layers if readout.kind == "state" else _without_unseen(layers)),
        tuple(frame.z_string(wires) for wires in readout.strings),
        tuple(frame.z_string((wire,)) for wire in range(circuit.n_qubits)),
        circuit.start,
    )


def _in_frame(frame: _Frame, kind: str, wires: tuple[int, ...]) -> tuple[Rotation | int, int]:
    if kind == "Z":
        return frame.z_string(wires)
    (wire,) = wires
    return Rotation(frame.flip[wire], frame.zmask[wire]), frame.sign[wire]


def _place(layers: list[Layer], op: Rotation | int, angle: Sum, start: str) -> None:
    """Add a gate to the earliest possible layer, else to a new one.

    A gate moves back only across layers that commute with it.
    """
    target = None
    for position in range(len(layers) - 1, -1, -1):
        if layers[position].accepts(op):
            target = layers[position]
        if not layers[position].commutes_with(op):
            break
    else:
        if not isinstance(op, Rotation) and start == "zero":
            return  # a phase that acts on |0…0⟩ is global
    if target is None:
        target = Rotations() if isinstance(op, Rotation) else Phases()
        layers.append(target)
    angles: dict[Any, Sum] = target.angles
    angles[op] = angles.get(op, Sum()) + angle


def _without_unseen(layers: list[Layer]) -> list[Layer]:
    """Drop phases that commute with every later rotation and so cannot affect the read-out."""
    seen_layers: list[Layer] = []
    for layer in reversed(layers):
        if isinstance(layer, Phases):
            visible = {
                m: a
                for m, a in layer.angles.items()
                if not all(k.commutes_with(m) for k in seen_layers)
            }
            layer = Phases(visible)
        if layer.angles:
            seen_layers.append(layer)
    return seen_layers[::-1]


def _even(bits: int) -> bool:
    return bits.bit_count() % 2 == 0


Products = tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]
"""Indices of the inputs and of the parameters of each product."""


@functools.lru_cache(maxsize=256)
def without_products(circuit: Circuit) -> tuple[Circuit, Products]:
    """Replace each product with an input by a further input.

    Returns:
        The circuit, and the inputs and parameters that each further input multiplies. A circuit
        without products is returned unchanged.

    Example:
        >>> from qtha_lab.circuits import Angle
        >>> circuit, products = without_products(Circuit(1, [Gate("RZ", 0, Angle.product([0, 1]))]))
        >>> print(circuit.draw(), products)
        0: ──RZ(x2)─┤ (((0, 1), ()),)
    """
    products = {_product(a): 0 for gate in circuit.gates for a in gate.angles if a.is_product}
    if not products:
        return circuit, ()
    places = {product: circuit.n_inputs + number for number, product in enumerate(products)}
    gates = [
        Gate(
            gate.name,
            gate.wires,
            [
                Angle.input(places[_product(a)], a.scale, a.offset) if a.is_product else a
                for a in gate.angles
            ],
            gate.matrix,
        )
        for gate in circuit.gates
    ]
    return Circuit(circuit.n_qubits, gates, circuit.start), tuple(products)


def _product(angle: Angle) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (angle.index, *angle.factors), angle.weights

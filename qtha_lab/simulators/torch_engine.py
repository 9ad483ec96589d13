"""Engine `torch`: PyTorch operations on any device, with derivatives of any order.

The state is complex, (2^n, batch), and torch.func works. The first layer gives a product state, a
layer of phases is one multiplication, and rotations shared by the batch are small matrix products.
PennyLane's default.qubit takes 7 to 25 times as long per gradient (docs/engines.md).
"""

import functools
import itertools
import sys
from typing import cast

import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators.program import Phases, Program, Rotation, compile_circuit
from qtha_lab.simulators.registry import Engine, engine

MAX_MATRIX_WIRES = 4  # most neighbouring wires whose shared rotations form one matrix
MAX_QUBITS = 24
MAX_SAVED_QUBITS = 16  # for larger circuits the signs of rows are not cached


@engine(
    "torch",
    strength="any device, torch.func, derivatives of any order",
    auto=2,
    place=1,
    follows_tensors=True,
    transformable=True,
)
def load() -> Engine:
    """Return this module as the engine."""
    return cast(Engine, sys.modules[__name__])


def check(circuit: Circuit, readout: Readout, name: str) -> None:
    """Refuse circuits with too many qubits (see `registry.Engine.check`)."""
    if circuit.n_qubits > MAX_QUBITS:
        raise Refusal(
            f"n_qubits must be at most {MAX_QUBITS} for engine {name!r}, got {circuit.n_qubits} "
            f"({8 * 2**circuit.n_qubits:,} bytes per sample)."
        )


def working_bytes(circuit: Circuit, batch: int, name: str = "torch") -> int:
    """Return the bytes of three complex states.

    Example:
        >>> working_bytes(Circuit(10, []), batch=2)
        49152

    These are the current state, the next state and its gradient. Tensors saved by autograd are not
    counted.
    """
    return 3 * 8 * 2**circuit.n_qubits * batch


def run(
    circuit: Circuit, inputs: Tensor, params: Tensor, readout: Readout, name: str = "torch"
) -> Tensor:
    """Compute the read-out of every sample, with derivatives of any order in both tensors.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.input(0))])
        >>> run(rotation, torch.tensor([[0.0], [torch.pi]]), torch.empty(0), Readout.z(1)).tolist()
        [[1.0], [-1.0]]
    """
    return read(tables_of(circuit, readout, inputs.device, inputs.dtype), inputs, params, readout)


def read(tables: "_Tables", inputs: Tensor, params: Tensor, readout: Readout) -> Tensor:
    """Compute the read-out as `run` does, with prepared tables on the device.

    No number is copied between host and device.

    Args:
        tables: Tables of the circuit and the read-out, by `tables_of`.
        inputs: (batch, n_inputs), as for `run`.
        params: (n_params,), as for `run`.
        readout: Read-out to compute.
    """
    state = _final_state(tables, inputs, params)
    if readout.kind == "state":
        return state[tables.rows_of_states].T
    probs = state.real.square() + state.imag.square()
    if readout.kind == "probs":
        return probs[tables.rows_of_states].T
    return times(tables.readout, probs).T


def _final_state(tables: "_Tables", inputs: Tensor, params: Tensor) -> Tensor:
    """Compute the final amplitudes, (2^n, batch), with rows in the order of the frame."""
    shared, of_samples = tables.angles(inputs, params)
    state, start = None, 0
    if tables.program.start == "amplitudes":
        state = torch.complex(inputs.T, torch.zeros_like(inputs.T))
    for layer in tables.program.layers:
        of_layer = slice(start, start + len(layer.angles))
        start = of_layer.stop
        if isinstance(layer, Phases):
            if state is None:
                raise AssertionError("phases of |0…0⟩ are global, and were dropped")
            signs = tables.signs(layer)
            state = _apply_phases(state, signs, shared[of_layer], of_samples[of_layer])
            continue
        half = [_half(*pair) for pair in zip(shared[of_layer], of_samples[of_layer], strict=True)]
        if state is None:
            state = _first_rotations(tables, list(layer.angles), half, inputs)
        else:
            state = _apply_rotations(tables, state, list(layer.angles), half)
    if state is None:  # no rotations: still |0…0⟩
        state = _first_rotations(tables, [], [], inputs)
    return state


class _Tables:
    """Tensors that depend on the circuit and the read-out alone, on one device."""

    def __init__(
        self, circuit: Circuit, readout: Readout, device: torch.device, dtype: torch.dtype
    ):
        self.program: Program = compile_circuit(circuit, readout)
        self.n_qubits = circuit.n_qubits
        self.options = {"device": device, "dtype": dtype}
        self.rows = torch.arange(2**circuit.n_qubits, device=device)
        sums = [total for layer in self.program.layers for total in layer.angles.values()]
        self.offsets = torch.tensor([total.offset for total in sums], **self.options)
        self.of_params = self._gather([total.params for total in sums], circuit.n_params)
        self.sampled = [number for number, total in enumerate(sums) if total.inputs]
        self.of_inputs = self._gather([sums[i].inputs for i in self.sampled], circuit.n_inputs)
        self._parity_signs: dict[int, Tensor] = {}
        self._signs: dict[int, Tensor] = {}
        self._indices: dict[tuple[int, ...], Tensor] = {}
        self.rows_of_states = self.rows  # the row that holds each basis state, (2^n,)
        if readout.kind != "strings":
            self.rows_of_states = torch.tensor(self.program.basis_states(), device=device).argsort()
        self.readout = torch.stack(
            [sign * self.parity_sign(mask) for mask, sign in self.program.readout or [(0, 1)]]
        )

    def _gather(self, terms: list, padding: int) -> tuple[Tensor, Tensor]:
        """Return index and scale of every term, (sums, most terms), padded with scale 0."""
        most = max(map(len, terms), default=0)
        filled = [[*t, *[(padding, 0.0)] * (most - len(t))] for t in terms]
        index = torch.tensor([[i for i, _ in t] for t in filled], dtype=torch.long)
        scale = torch.tensor([[s for _, s in t] for t in filled], **self.options)
        shape = (len(terms), most)
        return index.reshape(shape).to(self.rows.device), scale.reshape(shape)

    def angles(self, inputs: Tensor, params: Tensor) -> tuple[list[Tensor], list[Tensor | None]]:
        """Split every angle into a scalar shared by the batch and a part per sample.

        The part per sample is (batch,), or None if the angle depends on no input.
        """
        index, scale = self.of_params
        padded = torch.cat([params, params.new_zeros(1)])
        shared = (padded[index] * scale).sum(1) + self.offsets
        of_samples: list[Tensor | None] = [None] * len(shared)
        if self.sampled:
            index, scale = self.of_inputs
            padded = torch.cat([inputs, inputs.new_zeros(len(inputs), 1)], 1).T
            totals = (padded[index] * scale.unsqueeze(-1)).sum(1).unbind(0)
            for number, total in zip(self.sampled, totals, strict=True):
                of_samples[number] = total
        return list(shared.unbind(0)), of_samples

    def parity_sign(self, mask: int) -> Tensor:
        """Return +1 for rows with an even number of the mask's bits, else -1, (2^n,)."""
        if mask in self._parity_signs:
            return self._parity_signs[mask]
        with torch.inference_mode(False):
            bits = self.rows & mask
            parity = torch.zeros_like(bits)
            for place in range(self.n_qubits):
                parity ^= (bits >> place) & 1
            signs = (1 - 2 * parity).to(self.options["dtype"])
        if self.n_qubits <= MAX_SAVED_QUBITS:
            self._parity_signs[mask] = signs
        return signs

    def signs(self, layer: Phases) -> Tensor:
        """Return the signs of every Z-string in a layer of phases, (2^n, strings)."""
        key = id(layer)
        if key not in self._signs:
            with torch.inference_mode(False):
                self._signs[key] = torch.stack([self.parity_sign(m) for m in layer.angles], -1)
        return self._signs[key]

    def index(self, rows: tuple[int, ...]) -> Tensor:
        """Return rows as a tensor on the device; each is copied once."""
        if rows not in self._indices:
            with torch.inference_mode(False):
                self._indices[rows] = torch.tensor(rows, device=self.rows.device)
        return self._indices[rows]

    def wire_of(self, rotation: Rotation) -> int | None:
        """Return the wire of a rotation, or None if several wires are involved."""
        if rotation.flip != rotation.zmask or rotation.flip.bit_count() != 1:
            return None
        return self.n_qubits - rotation.flip.bit_length()


def tables_of(
    circuit: Circuit, readout: Readout, device: torch.device, dtype: torch.dtype
) -> _Tables:
    """Return the cached tables of a circuit; under a dispatch mode build new ones."""
    with torch.inference_mode(False):  # later calls may use the cached tables with autograd
        if torch._C._len_torch_dispatch_stack():
            return _Tables(circuit, readout, device, dtype)
        return _saved_tables(circuit, readout, device, dtype)


_saved_tables = functools.lru_cache(maxsize=64)(_Tables)


def _half(shared: Tensor, of_samples: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of half the angle: (batch,), or scalars for a shared angle."""
    half = 0.5 * (shared if of_samples is None else shared + of_samples)
    return half.cos(), half.sin()


def _first_rotations(
    tables: _Tables, rotations: list[Rotation], half: list, inputs: Tensor
) -> Tensor:
    """Rotate |0…0⟩: the amplitudes are products of cosines and sines."""
    amplitudes = inputs.new_ones(1, len(inputs))
    rows = [0]
    for rotation, (cos, sin) in zip(rotations, half, strict=True):
        pair = torch.stack([cos.expand(len(inputs)), sin.expand(len(inputs))])
        amplitudes = (amplitudes.unsqueeze(1) * pair).flatten(0, 1)
        rows = [row ^ flip for row in rows for flip in (0, rotation.flip)]
    if rows != list(range(2**tables.n_qubits)):
        zeros = inputs.new_zeros(2**tables.n_qubits, len(inputs))
        amplitudes = zeros.index_copy(0, tables.index(tuple(rows)), amplitudes)
    return torch.complex(amplitudes, torch.zeros_like(amplitudes))


def _apply_phases(
    state: Tensor, signs: Tensor, shared: list[Tensor], of_samples: list[Tensor | None]
) -> Tensor:
    """Multiply every row by exp(-i/2 Σ ±angle)."""
    phase = (signs * torch.stack(shared)).sum(-1, keepdim=True)
    for column, angle in enumerate(of_samples):
        if angle is not None:
            phase = phase + signs[:, column, None] * angle
    half = 0.5 * phase
    return state * torch.complex(half.cos(), -half.sin())


def _apply_rotations(
    tables: _Tables, state: Tensor, rotations: list[Rotation], half: list
) -> Tensor:
    """Apply a layer of rotations to a state.

    Rotations are real, so real and imaginary parts are columns of one real array, (2^n, 2·batch).
    """
    rows, batch = state.shape
    real = torch.view_as_real(state).reshape(rows, 2 * batch)
    by_wire: dict[int, Tensor] = {}
    for rotation, (cos, sin) in zip(rotations, half, strict=True):
        wire = tables.wire_of(rotation)
        if wire is None:
            real = _general_rotation(tables, real, rotation, cos, sin)
        elif cos.dim():
            real = _wire_rotation(real, tables.n_qubits, wire, cos, sin)
        else:
            by_wire[wire] = torch.stack([cos, -sin, sin, cos]).reshape(2, 2)
    for first, matrices in _neighbours(by_wire):
        real = _matrix_rotation(real, tables.n_qubits, first, matrices)
    return torch.view_as_complex(real.reshape(rows, batch, 2))


def _wire_rotation(real: Tensor, n_qubits: int, wire: int, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate one wire by an angle per sample."""
    cos, sin = (v.repeat_interleave(2) for v in (cos, sin))
    zero, one = real.reshape(2**wire, 2, 2 ** (n_qubits - 1 - wire), -1).unbind(1)
    rotated = torch.stack([cos * zero - sin * one, sin * zero + cos * one], 1)
    return rotated.reshape(real.shape)


def _general_rotation(
    tables: _Tables, real: Tensor, rotation: Rotation, cos: Tensor, sin: Tensor
) -> Tensor:
    """Rotate rows k and k ^ flip into each other, for any flip mask."""
    if cos.dim():
        cos, sin = (v.repeat_interleave(2) for v in (cos, sin))
    n_qubits = tables.n_qubits
    axes = [axis for axis in range(n_qubits) if rotation.flip >> (n_qubits - 1 - axis) & 1]
    partner = real.reshape(*[2] * n_qubits, -1).flip(axes).reshape(real.shape)
    signed = tables.parity_sign(rotation.zmask).unsqueeze(-1)
    if cos.dim():
        return torch.addcmul(cos * real, sin, signed * partner, value=-1)
    return torch.addcmul(cos * real, sin * signed, partner, value=-1)


def _neighbours(by_wire: dict[int, Tensor]) -> list[tuple[int, list[Tensor]]]:
    """Group neighbouring wires into near-equal runs of at most `MAX_MATRIX_WIRES`.

    Each run is returned as its first wire and its matrices.
    """
    runs: list[tuple[int, list[Tensor]]] = []
    for wire in sorted(by_wire):
        if runs and wire == runs[-1][0] + len(runs[-1][1]):
            runs[-1][1].append(by_wire[wire])
        else:
            runs.append((wire, [by_wire[wire]]))
    cut = []
    for first, matrices in runs:
        parts = -(-len(matrices) // MAX_MATRIX_WIRES)
        edges = [len(matrices) * i // parts for i in range(parts + 1)]
        cut += [(first + a, matrices[a:b]) for a, b in itertools.pairwise(edges)]
    return cut


def _matrix_rotation(real: Tensor, n_qubits: int, first: int, matrices: list[Tensor]) -> Tensor:
    """Rotate a run of neighbouring wires with one matrix product."""
    matrix = functools.reduce(torch.kron, matrices)
    grouped = real.reshape(2**first, len(matrix), -1)
    return times(matrix, grouped).reshape(real.shape)


def times(matrix: Tensor, columns: Tensor) -> Tensor:
    """Compute `matrix @ columns`, never in the reduced precision of TF32."""
    reduced = columns.is_cuda and torch.get_float32_matmul_precision() != "highest"
    if reduced and columns.dtype == torch.float32:
        return (matrix.unsqueeze(-1) * columns.unsqueeze(-3)).sum(-2)
    return matrix @ columns

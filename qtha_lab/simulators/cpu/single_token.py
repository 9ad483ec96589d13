"""Fused forward pass for one token: matrix, circuit, matrix in one call.

`kernel` processes a vector of samples at once, so a single sample costs as much as sixteen. Here
the 2^n amplitudes of one state lie along the vectors, and a rotation combines each vector with a
lane permutation of another. Between the layers of a model the caches hold weights, so the tables
are small. Forward only.
"""

import dataclasses
import functools
import math
from typing import Any, cast

import numpy as np
import torch
from llvmlite import ir
from numba import types
from torch import Tensor

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.vectors import (
    BYTES,
    FAST,
    Lanes,
    intrinsic,
    numbers_at,
    over_lanes,
    times_plus,
)
from qtha_lab.simulators.program import Phases, Rotations, compile_circuit

FEWEST_QUBITS, MOST_QUBITS = 4, 12  # one vector of 16 lanes; largest state in the first-level cache
WIDTH = BYTES // 4  # lanes of float32
ROTATIONS, PHASES = range(2)


@intrinsic
def _rotation(typingctx, state, size, low, high, mask, cos, sin, signs, at):
    """Rotate a state whose amplitudes lie along vectors.

    In both planes, vector a becomes cos times itself ± sin times vector a ^ high with lanes l ^
    low. `signs[at:]` holds the sign of sin per lane; the sign flips for vectors with an odd number
    of the bits of `mask`.
    """
    signature = types.void(state, size, low, high, mask, cos, sin, signs, at)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        _, size, low, high, mask, cos, sin, _, at = args
        sign = Lanes(context, builder, signature.args[7], args[7]).load(at)
        sine = builder.fmul(sign, psi.spread(sin), flags=FAST)
        sines, cos = (sine, builder.fneg(sine)), psi.spread(cos)
        is_inside = builder.icmp_signed("==", high, high.type(0))
        end = builder.append_basic_block("rotation.end")
        switch = builder.switch(low, end)
        for value in range(WIDTH):  # one loop per permutation, since a shuffle must be a constant
            block = builder.append_basic_block(f"rotation.{value}")
            switch.add_case(low.type(value), block)
            builder.position_at_end(block)
            with builder.if_else(is_inside) as (inside, across):
                with inside, over_lanes(builder, size, WIDTH) as (a, _):
                    _rotation_rows(builder, psi, (a,), size, value, mask, cos, sines)
                with across, over_lanes(builder, size, WIDTH) as (a, _):
                    b = builder.xor(a, high)
                    with builder.if_then(builder.icmp_signed(">", b, a)):
                        _rotation_rows(builder, psi, (a, b), size, value, mask, cos, sines)
            builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return signature, codegen


def _rotation_rows(builder, psi: Lanes, places: tuple, size, low: int, mask, cos, sines) -> None:
    """Rotate one vector with itself, or two vectors with each other, in both planes."""
    order = [lane ^ low for lane in range(WIDTH)]
    shuffle = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), order)
    of_places = []
    for place in places:
        parity = builder.trunc(builder.ctpop(builder.and_(place, mask)), ir.IntType(1))
        of_places.append(builder.select(parity, sines[1], sines[0]))
    for shift in (size.type(0), size):
        planes = [builder.add(place, shift) for place in places]
        rows = [psi.load(place) for place in planes]
        others = [builder.shuffle_vector(row, row, shuffle) for row in reversed(rows)]
        for place, row, other, sine in zip(planes, rows, others, of_places, strict=True):
            psi.store(times_plus(builder, row, cos, other, sine), place)


@compiled(fastmath=True)
def run_single_token(tables, numbers, sizes, rows, shape, inputs_at, before_at, after_at):
    """Add the output of a QTHA adapter to a layer's output, row by row.

    Each row is after = before + (⟨Z⟩(h), h) · last, with h = inputs · firstᵀ.
    """
    size, n_steps, n_rotations, n_members, n_terms, n_values, n_inputs, n_last = sizes
    n_in, n_out = shape
    inputs = numbers_at(numbers, inputs_at, (rows, n_in))
    before = numbers_at(numbers, before_at, (rows, n_out))
    after = numbers_at(numbers, after_at, (rows, n_out))
    at = 3 * n_steps
    steps = tables[:at].reshape((n_steps, 3))
    rotations, at = (
        tables[at : at + 4 * n_rotations].reshape((n_rotations, 4)),
        at + 4 * n_rotations,
    )
    members, at = tables[at : at + n_members], at + n_members
    terms, readout = tables[at : at + n_terms], tables[at + n_terms :]
    signs, at = numbers[: WIDTH * WIDTH], WIDTH * WIDTH
    shared, at = numbers[at : at + 2 * n_rotations], at + 2 * n_rotations
    scales, at = numbers[at : at + n_terms], at + n_terms
    first, at = numbers[at : at + n_inputs * n_in], at + n_inputs * n_in
    last, phases = numbers[at : at + n_last * n_out], numbers[at + n_last * n_out :]
    state, z = np.empty(3 * size, np.float32), np.empty(n_values + n_inputs, np.float32)
    cosines, sines = np.empty(n_terms, np.float32), np.empty(n_terms, np.float32)
    for row in range(rows):
        for i in range(n_inputs):
            total = np.float32(0.0)
            for k in range(n_in):
                total += inputs[row, k] * first[i * n_in + k]
            z[n_values + i] = total
        for t in range(n_terms):
            half = 0.5 * np.float64(scales[t]) * np.float64(z[n_values + terms[t]])
            cosines[t], sines[t] = math.cos(half), math.sin(half)
        for k in range(2 * size):
            state[k] = 0.0
        state[0] = 1.0
        for number in range(n_steps):
            kind, begin, end = steps[number, 0], steps[number, 1], steps[number, 2]
            if kind == PHASES:
                at = 2 * begin * size
                for k in range(size):
                    cos, sin = phases[at + k], phases[at + size + k]
                    real, imag = state[k], state[size + k]
                    state[k] = real * cos + imag * sin
                    state[size + k] = imag * cos - real * sin
                continue
            for rotation in range(begin, end):
                flip, zmask = rotations[rotation, 0], rotations[rotation, 1]
                cos, sin = shared[2 * rotation], shared[2 * rotation + 1]
                for position in range(rotations[rotation, 2], rotations[rotation, 3]):
                    t = members[position]
                    cos, sin = (
                        cos * cosines[t] - sin * sines[t],
                        sin * cosines[t] + cos * sines[t],
                    )
                low, lane = flip & (WIDTH - 1), WIDTH * (zmask & (WIDTH - 1))
                _rotation(state, size, low, flip - low, zmask & ~(WIDTH - 1), cos, sin, signs, lane)
        for k in range(size):
            state[2 * size + k] = state[k] * state[k] + state[size + k] * state[size + k]
        step = 1
        while step < size:  # Σ_k p_k (-1)^{|k & m|} for every m
            for start in range(2 * size, 3 * size, 2 * step):
                for k in range(start, start + step):
                    p, q = state[k], state[k + step]
                    state[k], state[k + step] = p + q, p - q
            step *= 2
        for i in range(n_values):
            z[i] = state[2 * size + readout[i]]
        for k in range(n_out):
            after[row, k] = before[row, k]
        for i in range(n_last):
            for k in range(n_out):
                after[row, k] += z[i] * last[i * n_out + k]


class Single:
    """Frozen adapter (matrix, circuit, matrix) as a function of a token's input and base output.

    Args:
        tables: Tables by `single_tables`.
        shared: Cosine and sine of half of every sum in the first two columns, (sums + 1, 6).
        phases: Cosines and sines of every layer's rows, (layers · 2 · 2^n,).
        first: (in_features, n_inputs).
        last: (rows, out_features): rows for the values, then optional rows for the inputs.
        scale: Factor of the circuit's input angles.
    """

    def __init__(
        self,
        tables: "SingleTables",
        shared: np.ndarray,
        phases: np.ndarray,
        first: Tensor,
        last: Tensor,
        scale: float,
    ):
        rows = last.clone()
        rows[: len(tables.signs)] *= torch.from_numpy(tables.signs).unsqueeze(1)
        numbers = (
            tables.lanes,
            shared[tables.sums, :2],
            tables.scales * scale,
            first.mT.numpy(),
            rows.numpy(),
            phases,
        )
        self.numbers = np.concatenate([part.reshape(-1) for part in numbers], dtype=np.float32)
        self.tables = tables.integers
        self.sizes = (*tables.sizes, first.shape[1], len(last))
        self.shape = (len(first), last.shape[1])

    def __call__(self, inputs: Tensor, before: Tensor) -> Tensor:
        """Return `before` plus the change, (…, out_features), for inputs (…, in_features).

        All tensors are float32 on the CPU.
        """
        inputs, before = inputs.resolve_neg().contiguous(), before.resolve_neg().contiguous()
        after = torch.empty_like(before)
        rows, run = inputs.numel() // self.shape[0], cast("Any", run_single_token)
        run(
            self.tables, self.numbers, self.sizes, rows, self.shape, inputs.data_ptr(),
            before.data_ptr(), after.data_ptr(),
        )  # fmt: skip
        return after


@dataclasses.dataclass(frozen=True)
class SingleTables:
    """Tables of a circuit for `run_single_token`.

    Attributes:
        integers: Steps, rotations, members of sums, inputs of terms and read-outs.
        sizes: Number of amplitudes, and of each of these.
        sums: Sum of every rotation, by its number in `plan.KernelPlan`.
        scales: Scale of every term.
        signs: Sign of every read-out.
        lanes: Sign of every lane for every mask of lane bits.
    """

    integers: np.ndarray
    sizes: tuple[int, ...]
    sums: np.ndarray
    scales: np.ndarray
    signs: np.ndarray
    lanes: np.ndarray


@functools.lru_cache(maxsize=64)
def single_tables(circuit: Circuit, readout: Readout) -> SingleTables | None:
    """Build the tables of `run_single_token`; return None for an unsupported circuit.

    Supported are 4 to `MOST_QUBITS` qubits from |0…0⟩, Z-strings, and phases that all samples
    share.
    """
    fits = FEWEST_QUBITS <= circuit.n_qubits <= MOST_QUBITS and circuit.start == "zero"
    if not fits or readout.kind != "strings":
        return None
    program = compile_circuit(circuit, readout)
    phases = [layer for layer in program.layers if isinstance(layer, Phases)]
    if any(total.inputs for layer in phases for total in layer.angles.values()):
        return None
    tables = _Tables()
    for layer in program.layers:
        tables.add(layer)
    terms = [index for index, _ in tables.numbers]
    masks = [mask for mask, _ in program.readout]
    parts = (tables.steps, tables.rotations, tables.members, terms, masks)
    return SingleTables(
        integers=np.concatenate([np.array(part, np.int32).reshape(-1) for part in parts]),
        sizes=(2**circuit.n_qubits, *map(len, parts)),
        sums=np.array(tables.sums, np.int64),
        scales=np.array([scale for _, scale in tables.numbers]),
        signs=np.array([sign for _, sign in program.readout], np.float32),
        lanes=_lane_signs(),
    )


class _Tables:
    """Steps, rotations, members and sums of a program, added layer by layer."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, int, int]] = []
        self.rotations: list[tuple[int, int, int, int]] = []
        self.sums: list[int] = []
        self.members: list[int] = []
        self.numbers: dict[tuple[int, float], int] = {}  # of each term
        self.n_sums = self.n_phases = 0

    def add(self, layer: Phases | Rotations) -> None:
        """Append a layer; phases without angles take no step."""
        if isinstance(layer, Rotations):
            self._add_rotations(layer)
        elif any(total.params or total.offset for total in layer.angles.values()):
            self.steps.append((PHASES, self.n_phases, 0))
            self.n_phases += 1
        self.n_sums += len(layer.angles)

    def _add_rotations(self, layer: Rotations) -> None:
        first, numbers = len(self.rotations), self.numbers
        for j, (rotation, total) in enumerate(layer.angles.items(), self.n_sums):
            before = len(self.members)
            self.members += [numbers.setdefault(term, len(numbers)) for term in total.inputs]
            self.rotations.append((rotation.flip, rotation.zmask, before, len(self.members)))
            self.sums.append(j)
        if len(self.rotations) > first:
            self.steps.append((ROTATIONS, first, len(self.rotations)))


def _lane_signs() -> np.ndarray:
    """Return the sign of every lane for every mask of lane bits."""
    lanes = range(WIDTH)
    return np.array(
        [[1.0 if (lane & mask).bit_count() % 2 else -1.0 for lane in lanes] for mask in lanes]
    )

"""The sweeps of engine `cpu` that take ψ and λ through gates: turns about Y and phases.

Several operations are done on rows while they are in registers: storing them costs more. Turns are done as three
shears each, or scaled (see `scaled`).
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    intrinsic,
    minus_times,
    over_lanes,
    plus_times,
    times_plus,
)


def _turned(builder, rows, bit, outer, inner):
    """Apply one turn, as three shears or scaled, to 2^k row vectors; `bit` of a row is its side of the turn.

    Without an inner shear it is scaled, and `outer` is -tan(a/2).
    """
    rows = list(rows)
    for low in range(len(rows)):
        if not low >> bit & 1:
            high = low | 1 << bit
            a, b = rows[low], rows[high]
            if inner is None:
                rows[low] = plus_times(builder, a, outer, b)
                rows[high] = minus_times(builder, b, outer, a)
                continue
            a = plus_times(builder, a, outer, b)
            b = plus_times(builder, b, inner, a)
            rows[low], rows[high] = plus_times(builder, a, outer, b), b
    return rows


def _turn_slope(builder, slope, rows, duals, bit):
    """Add Σ (λ_high ψ_low - λ_low ψ_high) over the pairs of one turn."""
    for low in range(len(rows)):
        if not low >> bit & 1:
            high = low | 1 << bit
            pair = times_plus(builder, duals[high], rows[low], duals[low], rows[high], minus=True)
            slope = builder.fadd(slope, pair, flags=FAST)
    return slope


def _phased(builder, a, b, cos, sin):
    """(a + ib)·(cos - i·sin)."""
    return times_plus(builder, a, cos, b, sin), times_plus(builder, b, cos, a, sin, minus=True)


def _phase_slope(builder, slope, row, dual):
    """Add Im(λ* ψ) of one row."""
    overlap = times_plus(builder, dual[0], row[1], dual[1], row[0], minus=True)
    return builder.fadd(slope, overlap, flags=FAST)


# What passes do, in the order of time: two turns as shears ("t") or scaled ("s"), one phase a row, with the cosines of
# scaled turns before it that all samples share ("p") or that they differ in ("q"), or what is read behind two turns,
# which are not done ("r"). Before them a phase that differs between samples, and two turns of a state that is still
# real, which turns leave so.
KINDS = (
    "sampled", "real", "t", "pt", "tpt", "s", "ps", "qs", "sps", "sqs", "r", "pr", "qr", "tpr", "spr", "sqr",
)  # fmt: skip
SAMPLED, REAL, READ = (
    KINDS.index("sampled"),
    KINDS.index("real"),
    KINDS.index("r"),
)  # READ and later read
PASS_WIDTH = 21  # numbers that say what a pass does, the last where the cosines of its lanes are
LAST_READ_ALONE = KINDS.index("qr")  # later ones do two turns first
# the same with shears
PLAIN = np.array(
    [SAMPLED, REAL, *(KINDS.index(kind.replace("s", "t").replace("q", "p")) for kind in KINDS[2:])]
)


def make_passes(backward: bool):
    """A sweep that does what a pass of any of `KINDS` after the first does, four rows after four rows.

    Rows of ψ stay in registers between the operations. Backward these are undone on ψ and on λ, two planes further on,
    and their slopes are added up; of a state that is real they know nothing of λ's imaginary plane.

    Args:
        backward: Whether they are undone.

    Returns:
        A sweep, as follows.

    `f(kind, room, lanes, plane, rows, first, last, turns, phases, layer, size, whole, wholes_at, slopes, phase_sums,
    sums_at)`: the rows are `rows[first : last]`; `turns` has for each of four turns the position of its shears -tan(a/4)
    in `room`, how much further sin(a/2) is and after it -tan(a/2), and -1 if they differ between samples, else 0.
    Cosines of phases are in `phases` from `layer` on, sines `size` further; all are multiplied by `whole`, and in "q" by
    what is at `wholes_at` in `room`. The slopes of turns are added to the rows of `room` from `slopes` on, those of
    phases to `phase_sums[sums_at + row]`.

    Of turn `i` of "r" row `slopes + i` gains ⟨Z⟩ before it and row `slopes + 4 + i` half of ⟨X⟩; backward λ gains
    z Z ψ - x X ψ with z in row `slopes + 8 + i` and x in row `slopes + 12 + i`.
    """

    @intrinsic
    def sweep(
        typingctx, kind, room, lanes, plane, rows, first, last, turns, phases, layer, size, whole,
        wholes_at, slopes, phase_sums, sums_at,
    ):  # fmt: skip
        signature = types.void(
            kind, room, lanes, plane, rows, first, last, turns, phases, layer, size, whole,
            wholes_at, slopes, phase_sums, sums_at,
        )  # fmt: skip

        def codegen(context, builder, signature, args):
            values, kinds = _Operands(*args), _Operands(*signature.args)
            first, last = values.first, values.last
            end = builder.append_basic_block("pass.end")
            switch = builder.switch(values.kind, end)
            for number, name in enumerate(KINDS[1:], 1):
                block = builder.append_basic_block(f"pass.{name}")
                switch.add_case(values.kind.type(number), block)
                builder.position_at_end(block)
                steps, planes = ("t", 1) if name == "real" else (name, 2)
                places = cgutils.for_range_slice(
                    builder, first, last, first.type(4), first.type, inc=True
                )
                with places as (at, _):
                    _write(context, builder, kinds, values, at, steps, backward, planes)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


class _Operands(NamedTuple):
    """Of a sweep of `make_passes`: their types or their values."""

    kind: Any
    room: Any
    lanes: Any
    plane: Any
    rows: Any
    first: Any
    last: Any
    turns: Any
    phases: Any
    layer: Any
    size: Any
    whole: Any
    wholes_at: Any
    slopes: Any
    phase_sums: Any
    sums_at: Any


def _write(
    context,
    builder,
    kinds: _Operands,
    values: _Operands,
    at,
    steps: str,
    backward: bool,
    planes: int,
):
    """The operations on the four rows from place `at` on."""
    pass_ = _Pass(context, builder, kinds, values, at, backward, planes)
    with over_lanes(builder, values.lanes, pass_.room.vector.count) as (w, _):
        pass_.load(w)
        number = 0 if not backward else 2 * (len(steps) - ("p" in steps) - ("q" in steps))
        for step in reversed(steps) if backward else steps:
            if step in "pq":
                pass_.phase(w, by_lane=step == "q")
                continue
            number -= 2 * backward
            if step == "r":
                pass_.read(w, number)
            else:
                for bit in (1, 0) if backward else (0, 1):
                    pass_.turn(w, number + bit, scaled=step == "s")
            number += 2 * (not backward)
        pass_.store(planes if steps == "r" else 0)  # reading leaves ψ as it was
    if backward and ("p" in steps or "q" in steps):
        pass_.add_phase_slopes(kinds.phase_sums)


class _Pass:
    """What `make_passes` writes: one vector of four rows, of ψ and if `backward` of λ."""

    def __init__(self, context, builder, kinds, values, at, backward, n_planes):
        self.context, self.builder, self.given = context, builder, values
        self.backward, self.n_planes = backward, n_planes
        self.room = Lanes(context, builder, kinds.room, values.room)
        rows = Lanes(context, builder, kinds.rows, values.rows)
        phases = Lanes(context, builder, kinds.phases, values.phases)
        self.rows = [rows.number(builder.add(at, at.type(i))) for i in range(4)]
        self.turns = cgutils.unpack_tuple(builder, values.turns, 12)
        cosines = [builder.add(values.layer, row) for row in self.rows]
        places = [(place, builder.add(place, values.size)) for place in cosines]
        self.phases = [
            [builder.fmul(values.whole, phases.number(p)) for p in of_row] for of_row in places
        ]
        zero = ir.Constant(self.room.vector, None)
        self.row_slopes = [cgutils.alloca_once_value(builder, zero) for _ in range(4)]

    def load(self, w):
        builder = self.builder
        self.places = []
        for state in range(1 + self.backward):
            for plane in range(2 * state, 2 * state + self.n_planes):
                base = builder.add(builder.mul(self.given.plane, self.given.plane.type(plane)), w)
                rows = [builder.add(builder.mul(row, self.given.lanes), base) for row in self.rows]
                self.places.append(rows)
        self.values = [[self.room.load(place) for place in rows] for rows in self.places]

    def store(self, planes):
        for places, values in list(zip(self.places, self.values, strict=True))[planes:]:
            for place, value in zip(places, values, strict=True):
                self.room.store(value, place)

    def turn(self, w, number, scaled):
        builder, bit = self.builder, number % 2
        at, gap, sampled = self.turns[3 * number : 3 * number + 3]
        at = builder.add(at, builder.and_(w, sampled))
        if scaled:
            at = builder.add(at, builder.add(gap, gap))
        outer = self.room.load(at)
        inner = None if scaled else self.room.load(builder.add(at, gap))
        if self.backward:
            outer, inner = builder.fneg(outer), inner and builder.fneg(inner)
            place = self._lane_place(w, number)
            slope = self.room.load(place)
            for rows, duals in zip(
                self.values[: self.n_planes], self.values[self.n_planes :], strict=True
            ):
                slope = _turn_slope(builder, slope, rows, duals, bit)
            self.room.store(slope, place)
        self.values = [_turned(builder, rows, bit, outer, inner) for rows in self.values]

    def _lane_place(self, w, row):
        lanes = self.given.lanes
        shift = self.builder.mul(lanes, lanes.type(row))
        return self.builder.add(self.builder.add(self.given.slopes, shift), w)

    def read(self, w, number):
        builder = self.builder
        real, imag = self.values[:2]
        weights = [times_plus(builder, a, a, b, b) for a, b in zip(real, imag, strict=True)]
        for bit in range(2):
            pairs = [(low, low | 1 << bit) for low in range(4) if not low >> bit & 1]
            (l0, h0), (l1, h1) = pairs
            straight = [
                builder.fsub(weights[low], weights[high], flags=FAST) for low, high in pairs
            ]
            crossed = [
                times_plus(builder, plane[l0], plane[h0], plane[l1], plane[h1])
                for plane in (real, imag)
            ]
            for row, more in ((number + bit, straight), (4 + number + bit, crossed)):
                place = self._lane_place(w, row)
                more = builder.fadd(*more, flags=FAST)
                self.room.store(builder.fadd(self.room.load(place), more, flags=FAST), place)
        if self.backward:
            rows = [8 + number, 9 + number, 12 + number, 13 + number]
            z0, z1, x0, x1 = (self.room.load(self._lane_place(w, row)) for row in rows)
            both = builder.fadd(z0, z1, flags=FAST)
            other = builder.fsub(z1, z0, flags=FAST)
            signed = [both, other, builder.fneg(other), builder.fneg(both)]
            x0, x1 = builder.fneg(x0), builder.fneg(x1)
            for plane, duals in zip(self.values[:2], self.values[2:], strict=True):
                for k in range(4):
                    dual = plus_times(builder, duals[k], signed[k], plane[k])
                    dual = plus_times(builder, dual, x0, plane[k ^ 1])
                    duals[k] = plus_times(builder, dual, x1, plane[k ^ 2])

    def phase(self, w, by_lane):
        builder = self.builder
        whole = self.room.load(builder.add(self.given.wholes_at, w)) if by_lane else None
        for i, of_row in enumerate(self.phases):
            cos, sin = (self.room.spread(number) for number in of_row)
            if whole is not None:
                cos, sin = (builder.fmul(part, whole, flags=FAST) for part in (cos, sin))
            if self.backward:
                sin = builder.fneg(sin)
                row, dual = ([plane[i] for plane in self.values[k : k + 2]] for k in (0, 2))
                slope = _phase_slope(builder, builder.load(self.row_slopes[i]), row, dual)
                builder.store(slope, self.row_slopes[i])
            for k in range(0, len(self.values), 2):
                real, imag = self.values[k : k + 2]
                real[i], imag[i] = _phased(builder, real[i], imag[i], cos, sin)

    def add_phase_slopes(self, kind):
        goal = Lanes(self.context, self.builder, kind, self.given.phase_sums)
        for row, place in zip(self.rows, self.row_slopes, strict=True):
            total = self.room.total(self.builder.load(place))
            goal.add_number(total, self.builder.add(self.given.sums_at, row))


def make_phase(backward: bool):
    """A sweep that multiplies one row of ψ by cos - i·sign·sin of every lane.

    `f(room, lanes, plane, place, sign, at, slopes)`: cosines are at `at` in `room`, sines `lanes`
    further. Backward it is undone on ψ and λ, and sign·Im(λ* ψ) added to the row at `slopes`.
    """

    @intrinsic
    def sweep(typingctx, room, lanes, plane, place, sign, at, slopes):
        signature = types.void(room, lanes, plane, place, sign, at, slopes)

        def codegen(context, builder, signature, args):
            room = Lanes(context, builder, signature.args[0], args[0])
            _, lanes, plane, place, sign, at, slopes = args
            sign = room.spread(sign)
            with over_lanes(builder, lanes, room.vector.count) as (w, _):
                angle = builder.add(at, w)
                cos, sin = room.load(angle), room.load(builder.add(angle, lanes))
                sin = builder.fmul(sin, sign, flags=FAST)
                sin = builder.fneg(sin) if backward else sin
                rows = []
                for state in range(1 + backward):
                    shift = builder.mul(plane, plane.type(2 * state))
                    real = builder.add(builder.add(place, shift), w)
                    places = real, builder.add(real, plane)
                    rows.append([room.load(p) for p in places])
                    phased = _phased(builder, rows[-1][0], rows[-1][1], cos, sin)
                    for value, p in zip(phased, places, strict=True):
                        room.store(value, p)
                if backward:
                    lane_place = builder.add(slopes, w)
                    slope = _phase_slope(builder, room.constant(0.0), *rows)
                    slope = builder.fmul(slope, sign, flags=FAST)
                    room.store(builder.fadd(slope, room.load(lane_place), flags=FAST), lane_place)
            return context.get_dummy_value()

        return signature, codegen

    return sweep

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
    BYTES,
    FAST,
    Lanes,
    fours,
    hidden,
    intrinsic,
    minus_times,
    over_lanes,
    plus_times,
    shuffled,
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


def _turn_slopes(builder, sums, rows, duals):
    """Add the slopes of two turns, Σ (λ_high ψ_low - λ_low ψ_high) over the pairs of each, to `sums`: their sum and difference.

    These are half as many products, and sums that a processor with units for sums of their own makes meanwhile.
    """

    def plus(values, i, k):
        return builder.fadd(values[i], values[k], flags=FAST)

    def minus(values, i, k):
        return builder.fsub(values[i], values[k], flags=FAST)

    both, difference = sums
    both = plus_times(builder, both, minus(rows, 0, 3), plus(duals, 1, 2))
    both = minus_times(builder, both, plus(rows, 1, 2), minus(duals, 0, 3))
    difference = plus_times(builder, difference, plus(rows, 0, 3), minus(duals, 1, 2))
    difference = minus_times(builder, difference, minus(rows, 1, 2), plus(duals, 0, 3))
    return both, difference


def _phased(builder, row, numbers, backward):
    """(a + ib)·(cos - i·sin) of cos, sin - cos and sin + cos, or backward its inverse: three products for four."""
    (a, b), (cos, less, more) = row, numbers
    both = builder.fmul(cos, builder.fadd(a, b, flags=FAST), flags=FAST)
    if backward:
        return minus_times(builder, both, b, more), plus_times(builder, both, a, less)
    return plus_times(builder, both, b, less), minus_times(builder, both, a, more)


def _phased_of_real(builder, a, numbers):
    """a·(cos - i·sin) of the same."""
    cos, less, _ = numbers
    real = builder.fmul(a, cos, flags=FAST)
    return real, builder.fneg(plus_times(builder, real, a, less))


def _turned_by(builder, a, b, cos, sin):
    """(a + ib)·(cos - i·sin)."""
    return times_plus(builder, a, cos, b, sin), times_plus(builder, b, cos, a, sin, minus=True)


def _phase_slope(builder, slope, row, dual):
    """Add Im(λ* ψ) of one row."""
    overlap = times_plus(builder, dual[0], row[1], dual[1], row[0], minus=True)
    return builder.fadd(slope, overlap, flags=FAST)


# What passes do, in the order of time: two turns as shears ("t") or scaled ("s"), one phase a row, with the cosines of
# scaled turns before it that all samples share ("p") or that they differ in ("q"), of a state that is real before
# it ("o"), or what is read behind two turns, which are not done ("r"). Before them a phase that differs between samples,
# and two turns of a state that is still real, which turns leave so.
KINDS = (
    "sampled", "real", "t", "pt", "ot", "tpt", "s", "ps", "os", "qs", "sps", "sqs",
    "r", "pr", "or", "qr", "tpr", "spr", "sqr",
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

    `f(kind, room, lanes, plane, rows, ops, number, phases, size, is_scaled, slopes, phase_sums, sums_at)`: pass `number` of
    `ops` (see `plan`) is done as `kind`. `rows` has the places of rows in `room`. Of four turns `ops` has the position of
    their shears -tan(a/4) in `room`, how much further sin(a/2) is and after it -tan(a/2), and 0; or -1 if samples differ in
    them, and -tan(a/2) is in the place of the first. `phases` are as from `angles.parts`; in "q" they are multiplied
    by the row of `room` that `ops` names last. The slopes of two turns, taken where both are done, are added to rows of
    `room` from `slopes` on, their sum to one and their difference to the next; those of phases to `phase_sums` from
    `sums_at` on, in the order of the rows.

    Of turn `i` of "r" row `slopes + i` gains ⟨Z⟩ before it and row `slopes + 4 + i` half of ⟨X⟩; backward λ gains
    z Z ψ - x X ψ with z in row `slopes + 8 + i` and x in row `slopes + 12 + i`.
    """

    @intrinsic
    def sweep(
        typingctx, kind, room, lanes, plane, rows, ops, number, phases, size, is_scaled, slopes, phase_sums,
        sums_at,
    ):  # fmt: skip
        signature = types.void(
            kind, room, lanes, plane, rows, ops, number, phases, size, is_scaled, slopes, phase_sums,
            sums_at,
        )  # fmt: skip

        def codegen(context, builder, signature, args):
            def place(number, position):
                array = Lanes(context, builder, signature.args[number], args[number])
                return builder.gep(array.data, [position])

            kind, _, lanes, plane, _, _, number, _, size, is_scaled, slopes, _, sums_at = args
            op = place(5, builder.mul(number, number.type(PASS_WIDTH)))
            first, count, layer = (
                builder.load(builder.gep(op, [number.type(i)])) for i in (1, 2, 3)
            )
            of_layer = builder.mul(layer, size)
            cosines = builder.mul(of_layer, size.type(6))
            of_scaled = builder.select(is_scaled, size.type(3), size.type(0))
            cosines = builder.add(cosines, builder.mul(of_scaled, size))
            operands = (
                place(1, lanes.type(0)), lanes, plane, place(4, first), count, op, place(7, cosines), size,
                slopes, place(11, builder.add(sums_at, of_layer)),
            )  # fmt: skip
            function_type = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
            end = builder.append_basic_block("pass.end")
            switch = builder.switch(kind, end)
            for which, name in enumerate(KINDS[1:], 1):
                block = builder.append_basic_block(f"pass.{name}")
                switch.add_case(kind.type(which), block)
                builder.position_at_end(block)
                function = _function(builder, function_type, name, backward)
                builder.call(function, operands)
                builder.branch(end)
            builder.position_at_end(end)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


def _function(builder, kind, name: str, backward: bool):
    """One kind of pass as a function of its own: together they would keep what they have at hand in memory."""
    unique = builder.module.get_unique_name(f"{builder.function.name}_{name}_{backward:d}")
    function = ir.Function(builder.module, kind, unique)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.alignstack = BYTES  # else vectors kept there lie across lines of the cache
    inside = ir.IRBuilder(function.append_basic_block())
    given = _Operands(*function.args)
    steps, planes = ("t", 1) if name == "real" else (name, 2)
    pass_ = _Pass(inside, given, steps, backward, planes)
    word = given.count.type
    stop = inside.mul(given.count, word(4))
    with cgutils.for_range_slice(inside, word(0), stop, word(4), word, inc=True) as (at, _):
        pass_.over_rows(at)
    inside.ret_void()
    return function


class _Operands(NamedTuple):
    """Of a pass as a function: values, and pointers to the first number of each kind that concerns it."""

    room: Any
    lanes: Any
    plane: Any
    rows: Any
    count: Any
    op: Any
    cosines: Any
    size: Any
    slopes: Any
    phase_sums: Any


class _Pass:
    """What `make_passes` writes of a pass: four rows after four, of ψ and if `backward` of λ."""

    def __init__(self, builder, given: _Operands, steps: str, backward: bool, n_planes: int):
        self.builder, self.given, self.steps = builder, given, steps
        self.backward, self.n_planes = backward, n_planes
        self.room = Lanes.at(builder, given.room)
        self.has_phases = bool({*"opq"} & {*steps})
        op = Lanes.at(builder, given.op)
        word = given.lanes.type
        self.turns = [op.number(word(8 + i)) for i in range(12)]
        self.wholes_at = op.number(word(PASS_WIDTH - 1))
        self.planes = [
            builder.mul(given.plane, word(plane))
            for state in range(1 + backward)
            for plane in range(2 * state, 2 * state + n_planes)
        ]
        self.row_slopes = [cgutils.alloca_once(builder, self.room.vector) for _ in range(4)]

    def over_rows(self, at):
        """The operations on the four rows from place `at` on."""
        builder, given = self.builder, self.given
        steps, backward = self.steps, self.backward
        rows = Lanes.at(builder, given.rows)
        self.rows = [
            builder.gep(given.room, [rows.number(builder.add(at, at.type(i)))]) for i in range(4)
        ]
        self.cosines = [builder.gep(given.cosines, [at])]
        for _ in range(2):  # of cosines, of sin - cos, of sin + cos
            self.cosines.append(builder.gep(self.cosines[-1], [given.size]))
        for slope in self.row_slopes if backward and self.has_phases else ():
            builder.store(self.room.constant(0.0), slope)
        with over_lanes(builder, given.lanes, self.room.vector.count) as (w, _):
            self.load(w)
            number = 0 if not backward else 2 * (len(steps) - self.has_phases)
            for step in reversed(steps) if backward else steps:
                if step in "opq":
                    self.phase(w, step)
                    continue
                number -= 2 * backward
                if step == "r":
                    self.read(w, number)
                    number += 2 * (not backward)
                    continue
                if backward:
                    self.add_turn_slopes(w, number)
                for bit in (1, 0) if backward else (0, 1):
                    self.turn(w, number + bit, scaled=step == "s")
                number += 2 * (not backward)
            self.store(2 if steps == "r" else 0)  # reading leaves ψ as it was
        if backward and self.has_phases:
            self.add_phase_slopes(at)

    def load(self, w):
        builder = self.builder
        shifts = [hidden(builder, builder.add(w, plane)) for plane in self.planes]
        self.places = [
            [Lanes.at(builder, builder.gep(row, [shift])) for row in self.rows] for shift in shifts
        ]
        self.values = [[place.load(w.type(0)) for place in rows] for rows in self.places]
        if self.steps[0] == "o" and not self.backward:
            self.values[1] = []  # its imaginary plane is 0, and may be anything where it is kept

    def store(self, planes):
        for places, values in list(zip(self.places, self.values, strict=True))[planes:]:
            for place, value in zip(places, values, strict=False):
                place.store(value, self.given.lanes.type(0))

    def turn(self, w, number, scaled):
        builder, bit = self.builder, number % 2
        at, gap, sampled = self.turns[3 * number : 3 * number + 3]
        if scaled:
            twice = builder.and_(builder.add(gap, gap), builder.not_(sampled))
            at = builder.add(at, twice)  # where samples differ it is there alone
        at = builder.add(at, builder.and_(w, sampled))
        outer = self.room.load(at)
        inner = None if scaled else self.room.load(builder.add(at, gap))
        if self.backward:
            outer, inner = builder.fneg(outer), inner and builder.fneg(inner)
        self.values = [_turned(builder, rows, bit, outer, inner) for rows in self.values]

    def add_turn_slopes(self, w, number):
        """Of two turns that are done, to be undone next."""
        places = [self._lane_place(w, number + i) for i in range(2)]
        sums = [self.room.load(place) for place in places]
        for rows, duals in zip(
            self.values[: self.n_planes], self.values[self.n_planes :], strict=True
        ):
            sums = _turn_slopes(self.builder, sums, rows, duals)
        for sum_, place in zip(sums, places, strict=True):
            self.room.store(sum_, place)

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

    def phase(self, w, step):
        builder = self.builder
        whole = self.room.load(builder.add(self.wholes_at, w)) if step == "q" else None
        parts = [Lanes.at(builder, hidden(builder, part)) for part in self.cosines]
        phased = [[] for _ in self.values]
        for i, row_slope in enumerate(self.row_slopes):
            numbers = [part.spread(part.number(w.type(i))) for part in parts]
            if whole is not None:
                numbers = [builder.fmul(number, whole, flags=FAST) for number in numbers]
            if self.backward:
                row, dual = ([plane[i] for plane in self.values[k : k + 2]] for k in (0, 2))
                row_slope = hidden(builder, row_slope)
                slope = _phase_slope(builder, builder.load(row_slope), row, dual)
                builder.store(slope, row_slope)
            for k in range(0, len(self.values), 2):
                if step == "o" and not self.backward:
                    made = _phased_of_real(builder, self.values[k][i], numbers)
                else:
                    row = [plane[i] for plane in self.values[k : k + 2]]
                    made = _phased(builder, row, numbers, self.backward)
                for value, plane in zip(made, phased[k : k + 2], strict=True):
                    plane.append(value)
        self.values = phased
        if step == "o" and self.backward:  # real again, and nobody asks for λ's imaginary plane
            self.values = [phased[0], [], phased[2], []]

    def add_phase_slopes(self, at):
        """Add up the lanes of the slopes of four rows, together: they are neighbours in the order in which rows are done."""
        builder, n = self.builder, self.room.vector.count
        a, b, c, d = (builder.load(place) for place in self.row_slopes)

        def joined(x, y, first, second):
            halves = (shuffled(builder, x, y, fours(n, half)) for half in (first, second))
            return builder.fadd(*halves, flags=FAST)

        pairs = [joined(x, y, (0, n, 1, n + 1), (2, n + 2, 3, n + 3)) for x, y in ((a, b), (c, d))]
        sums = joined(pairs[0], pairs[1], (0, 1, n, n + 1), (2, 3, n + 2, n + 3))
        while n > 4:
            n //= 2
            halves = (shuffled(builder, sums, sums, range(k, k + n)) for k in (0, n))
            sums = builder.fadd(*halves, flags=FAST)
        Lanes.at(builder, self.given.phase_sums).add_numbers(sums, at)


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
                    phased = _turned_by(builder, rows[-1][0], rows[-1][1], cos, sin)
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

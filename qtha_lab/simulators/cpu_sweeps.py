"""The innermost sweeps of engine `cpu`, written in LLVM's vectors.

Each is one function of numba's that goes over all lanes of a few rows. Plain loops would leave the
vectors to chance: LLVM gives up where more than a few rows might overlap.
"""

import zlib
from pathlib import Path

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

VERSION = zlib.crc32(Path(__file__).read_bytes()) | 1
BYTES = 64  # of one vector; LLVM splits it where the machine has shorter ones
_FAST = ("fast",)


class Lanes:
    """Vectors of one array inside a sweep: load, store and arithmetic."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.data = arrayobj.make_array(array_type)(context, builder, array).data
        self.size = 4 if array_type.dtype == types.float32 else 8
        self.vector = ir.VectorType(context.get_data_type(array_type.dtype), BYTES // self.size)

    def _pointer(self, position):
        place = self.builder.gep(self.data, [position])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, position):
        return self.builder.load(self._pointer(position), align=self.size)

    def store(self, value, position):
        self.builder.store(value, self._pointer(position), align=self.size)

    def spread(self, number):
        """The same number in every lane."""
        none = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(none, number, ir.IntType(32)(0))
        lanes = ir.Constant(
            ir.VectorType(ir.IntType(32), self.vector.count), [0] * self.vector.count
        )
        return self.builder.shuffle_vector(one, none, lanes)

    def constant(self, number):
        """A number known now in every lane."""
        return ir.Constant(self.vector, [number] * self.vector.count)

    def total(self, vector):
        """The sum over the lanes of one vector."""
        scalar = self.vector.element
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(scalar, [scalar, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(scalar, 0.0), vector], fastmath=_FAST)


def plus_times(builder, a, b, c):
    """a + b·c."""
    return builder.fadd(a, builder.fmul(b, c, flags=_FAST), flags=_FAST)


def times_plus(builder, a, b, c, d, minus=False):
    """a·b + c·d, or a·b - c·d."""
    left = builder.fmul(a, b, flags=_FAST)
    right = builder.fmul(c, d, flags=_FAST)
    return (builder.fsub if minus else builder.fadd)(left, right, flags=_FAST)


def _turned(builder, rows, turns):
    """Apply turns, each three shears, to 2^k row vectors; bit t of a row is its side of turn t."""
    rows = list(rows)
    for bit, (outer, inner) in enumerate(turns):
        for low in range(len(rows)):
            if not low >> bit & 1:
                high = low | 1 << bit
                a, b = rows[low], rows[high]
                a = plus_times(builder, a, outer, b)
                b = plus_times(builder, b, inner, a)
                rows[low], rows[high] = plus_times(builder, a, outer, b), b
    return rows


def _slope(builder, slope, rows, duals, bit):
    """Add Σ (λ_high ψ_low - λ_low ψ_high) over the pairs of one turn."""
    for low in range(len(rows)):
        if not low >> bit & 1:
            high = low | 1 << bit
            pair = times_plus(builder, duals[high], rows[low], duals[low], rows[high], minus=True)
            slope = builder.fadd(slope, pair, flags=_FAST)
    return slope


def over_lanes(builder, lanes, width):
    """A loop over the positions 0, width, 2·width, … below `lanes`."""
    kind = lanes.type
    return cgutils.for_range_slice(builder, kind(0), lanes, kind(width), kind, inc=True)


def make_turns(n_turns: int, sampled: bool, backward: bool):
    """A sweep of `n_turns` turns over 2^n_turns rows of ψ.

    `f(state, lanes, positions, numbers, angles, offset, slopes)`: `positions` of the rows;
    `numbers` are the shears -tan(a/4) and sin(a/2) of each turn (see `shears`), or if `sampled`
    their positions in `angles`. Backward, the turns are undone on ψ and on λ, `offset` further on,
    and their slopes are added to `slopes`.
    """

    @intrinsic
    def sweep(typingctx, state, lanes, positions, numbers, angles, offset, slopes):
        signature = types.void(state, lanes, positions, numbers, angles, offset, slopes)

        def codegen(context, builder, signature, args):
            kinds = signature.args
            psi = Lanes(context, builder, kinds[0], args[0])
            places = cgutils.unpack_tuple(builder, args[2], 2**n_turns)
            given = cgutils.unpack_tuple(builder, args[3], 2 * n_turns)
            table = Lanes(context, builder, kinds[4], args[4])
            found = Lanes(context, builder, kinds[6], args[6])
            if not sampled:
                given = [psi.spread(number) for number in given]
            with over_lanes(builder, args[1], psi.vector.count) as (at, _):

                def here(position):
                    return builder.add(position, at)

                values = [table.load(here(p)) for p in given] if sampled else given
                turns = list(zip(values[::2], values[1::2], strict=True))
                rows = [psi.load(here(place)) for place in places]
                if backward:
                    others = [builder.add(here(place), args[5]) for place in places]
                    duals = [psi.load(place) for place in others]
                    for bit in range(n_turns):
                        place = here(builder.mul(args[1], args[1].type(bit)))
                        slope = _slope(builder, found.load(place), rows, duals, bit)
                        found.store(slope, place)
                    turns = [tuple(map(builder.fneg, turn)) for turn in turns]
                    for value, place in zip(_turned(builder, duals, turns), others, strict=True):
                        psi.store(value, place)
                for value, place in zip(_turned(builder, rows, turns), places, strict=True):
                    psi.store(value, here(place))
            return context.get_dummy_value()

        return signature, codegen

    return sweep


def make_phase(sampled: bool, backward: bool):
    """A sweep that multiplies one row of ψ, at (real, imag), by cos - i·sign·sin.

    `numbers` are cosine and sine, or if `sampled` their positions in `angles`. Backward it is undone on ψ and λ; Im(λ* ψ) is added to
    `slopes` if `sampled`, else its sum over the lanes is returned.
    """

    @intrinsic
    def sweep(typingctx, state, lanes, places, numbers, sign, angles, offset, slopes):
        signature = state.dtype(state, lanes, places, numbers, sign, angles, offset, slopes)

        def codegen(context, builder, signature, args):
            kinds = signature.args
            psi = Lanes(context, builder, kinds[0], args[0])
            table = Lanes(context, builder, kinds[5], args[5])
            found = Lanes(context, builder, kinds[7], args[7])
            real_imag = cgutils.unpack_tuple(builder, args[2], 2)
            given = cgutils.unpack_tuple(builder, args[3], 2)
            if not sampled:
                given = [psi.spread(number) for number in given]
            sign = psi.spread(args[4])
            total = cgutils.alloca_once_value(builder, ir.Constant(psi.vector, None))
            with over_lanes(builder, args[1], psi.vector.count) as (at, _):
                cos, sin = given
                if sampled:
                    cos, sin = (table.load(builder.add(place, at)) for place in given)
                sin = builder.fmul(sin, sign, flags=_FAST)
                places = [builder.add(place, at) for place in real_imag]
                a, b = _phased(builder, psi, places, cos, builder.fneg(sin) if backward else sin)
                if backward:
                    duals = [builder.add(place, args[6]) for place in places]
                    c, d = _phased(builder, psi, duals, cos, builder.fneg(sin))
                    overlap = times_plus(builder, c, b, d, a, minus=True)
                    if sampled:
                        overlap = builder.fmul(overlap, sign, flags=_FAST)
                        found.store(builder.fadd(overlap, found.load(at), flags=_FAST), at)
                    else:
                        overlap = builder.fadd(overlap, builder.load(total), flags=_FAST)
                        builder.store(overlap, total)
            return psi.total(builder.load(total))

        return signature, codegen

    return sweep


def _phased(builder, psi, places, cos, sin):
    """Multiply one vector of a row; what it was is returned."""
    a, b = (psi.load(place) for place in places)
    psi.store(times_plus(builder, a, cos, b, sin), places[0])
    psi.store(times_plus(builder, b, cos, a, sin, minus=True), places[1])
    return a, b


@intrinsic
def fill(typingctx, target, at, number, lanes):
    """target[at + w] = number for every lane w."""
    signature = types.void(target, at, target.dtype, lanes)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        value = goal.spread(args[2])
        with over_lanes(builder, args[3], goal.vector.count) as (w, _):
            goal.store(value, builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add_scaled(typingctx, target, at, source, start, factor, lanes):
    """target[at + w] += factor · source[start + w]."""
    signature = types.void(target, at, source, start, target.dtype, lanes)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        given = Lanes(context, builder, signature.args[2], args[2])
        factor = goal.spread(args[4])
        with over_lanes(builder, args[5], goal.vector.count) as (w, _):
            place = builder.add(args[1], w)
            more = builder.fmul(given.load(builder.add(args[3], w)), factor, flags=_FAST)
            goal.store(builder.fadd(goal.load(place), more, flags=_FAST), place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy(typingctx, target, at, source, start, count):
    """target[at + w] = source[start + w] for `count` numbers."""
    signature = types.void(target, at, source, start, count)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        given = Lanes(context, builder, signature.args[2], args[2])
        with over_lanes(builder, args[4], goal.vector.count) as (w, _):
            goal.store(given.load(builder.add(args[3], w)), builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squares(typingctx, state, real, imag, to, lanes):
    """state[to + w] = state[real + w]² + state[imag + w]²."""
    signature = types.void(state, real, imag, to, lanes)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[4], psi.vector.count) as (w, _):
            a, b = (psi.load(builder.add(place, w)) for place in args[1:3])
            psi.store(times_plus(builder, a, a, b, b), builder.add(args[3], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def butterfly(typingctx, state, low, high, lanes):
    """Replace two rows by their sum and their difference."""
    signature = types.void(state, low, high, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], rows.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            a, b = (rows.load(place) for place in places)
            rows.store(builder.fadd(a, b, flags=_FAST), places[0])
            rows.store(builder.fsub(a, b, flags=_FAST), places[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def weigh(typingctx, state, real, imag, dual, lanes):
    """λ = g ψ for one row, where g stands in λ's real row: λ is `dual` after ψ."""
    signature = types.void(state, real, imag, dual, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, real, imag, dual, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            real, imag = builder.add(real, w), builder.add(imag, w)
            weight = rows.load(builder.add(real, dual))
            for place in (real, imag):
                value = builder.fmul(rows.load(place), weight, flags=_FAST)
                rows.store(value, builder.add(place, dual))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def total(typingctx, source, at, lanes):
    """Σ_w source[at + w]."""
    signature = source.dtype(source, at, lanes)

    def codegen(context, builder, signature, args):
        given = Lanes(context, builder, signature.args[0], args[0])
        sum_ = cgutils.alloca_once_value(builder, ir.Constant(given.vector, None))
        with over_lanes(builder, args[2], given.vector.count) as (w, _):
            more = builder.fadd(
                builder.load(sum_), given.load(builder.add(args[1], w)), flags=_FAST
            )
            builder.store(more, sum_)
        return given.total(builder.load(sum_))

    return signature, codegen


@intrinsic
def shears(typingctx, angles, cos_at, sin_at, lanes):
    """Turn cosine and sine of a/2 into the three shears of a rotation, -tan(a/4), sin(a/2), -tan(a/4).

    Where the cosine is negative the angle is a full turn less, which changes the sign of the state
    and nothing that can be read; so no tangent exceeds 1.
    """
    signature = types.void(angles, cos_at, sin_at, lanes)

    def codegen(context, builder, signature, args):
        table = Lanes(context, builder, signature.args[0], args[0])
        zero, one = table.constant(0.0), table.constant(1.0)
        with over_lanes(builder, args[3], table.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            cos, sin = (table.load(place) for place in places)
            negative = builder.fcmp_ordered("<", cos, zero)
            cos = builder.select(negative, builder.fneg(cos), cos)
            sin = builder.select(negative, builder.fneg(sin), sin)
            tangent = builder.fdiv(sin, builder.fadd(one, cos, flags=_FAST), flags=_FAST)
            table.store(builder.fneg(tangent), places[0])
            table.store(sin, places[1])
        return context.get_dummy_value()

    return signature, codegen

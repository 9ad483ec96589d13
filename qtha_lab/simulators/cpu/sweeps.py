"""The small sweeps of engine `cpu`: rows filled, copied, added, squared, transformed and summed.

Each goes over all lanes of a few rows; the gates are in `passes`.
"""

import decimal
import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    intrinsic,
    over_lanes,
    times_plus,
)


def make_butterfly(n_wires: int):
    """A sweep that replaces 2^n_wires rows, `steps` apart, by their Walsh-Hadamard transform."""

    @intrinsic
    def sweep(typingctx, room, at, steps, lanes):
        signature = types.void(room, at, steps, lanes)

        def codegen(context, builder, signature, args):
            room = Lanes(context, builder, signature.args[0], args[0])
            rows = [args[1]]
            for step in cgutils.unpack_tuple(builder, args[2], n_wires):
                rows += [builder.add(row, step) for row in rows]
            with over_lanes(builder, args[3], room.vector.count) as (w, _):
                places = [builder.add(row, w) for row in rows]
                values = [room.load(place) for place in places]
                for bit in range(n_wires):
                    for low in range(len(rows)):
                        if not low >> bit & 1:
                            high = low | 1 << bit
                            a, b = values[low], values[high]
                            values[low] = builder.fadd(a, b, flags=FAST)
                            values[high] = builder.fsub(a, b, flags=FAST)
                for value, place in zip(values, places, strict=True):
                    room.store(value, place)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


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
def add_scaled(typingctx, room, to, start, factor, lanes):
    """room[to + w] += factor · room[start + w]."""
    signature = types.void(room, to, start, room.dtype, lanes)

    def codegen(context, builder, signature, args):
        room = Lanes(context, builder, signature.args[0], args[0])
        factor = room.spread(args[3])
        with over_lanes(builder, args[4], room.vector.count) as (w, _):
            place = builder.add(args[1], w)
            more = builder.fmul(room.load(builder.add(args[2], w)), factor, flags=FAST)
            room.store(builder.fadd(room.load(place), more, flags=FAST), place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy(typingctx, target, at, source, start, count):
    """target[at + w] = source[start + w] for `count` numbers."""
    signature = types.void(target, at, source, start, count)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        source = Lanes(context, builder, signature.args[2], args[2])
        with over_lanes(builder, args[4], goal.vector.count) as (w, _):
            goal.store(source.load(builder.add(args[3], w)), builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squares(typingctx, room, real, imag, to, lanes):
    """room[to + w] = room[real + w]² + room[imag + w]²."""
    signature = types.void(room, real, imag, to, lanes)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[4], psi.vector.count) as (w, _):
            a, b = (psi.load(builder.add(place, w)) for place in args[1:3])
            psi.store(times_plus(builder, a, a, b, b), builder.add(args[3], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def weigh(typingctx, room, real, imag, dual, lanes):
    """λ = g ψ for one row, where g stands in λ's real row: λ is `dual` after ψ."""
    signature = types.void(room, real, imag, dual, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, real, imag, dual, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            real, imag = builder.add(real, w), builder.add(imag, w)
            weight = rows.load(builder.add(real, dual))
            for place in (real, imag):
                value = builder.fmul(rows.load(place), weight, flags=FAST)
                rows.store(value, builder.add(place, dual))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def total(typingctx, source, at, lanes):
    """Σ_w source[at + w]."""
    signature = source.dtype(source, at, lanes)

    def codegen(context, builder, signature, args):
        source = Lanes(context, builder, signature.args[0], args[0])
        sum_ = cgutils.alloca_once_value(builder, ir.Constant(source.vector, None))
        with over_lanes(builder, args[2], source.vector.count) as (w, _):
            more = source.load(builder.add(args[1], w))
            builder.store(builder.fadd(builder.load(sum_), more, flags=FAST), sum_)
        return source.total(builder.load(sum_))

    return signature, codegen


@intrinsic
def half_turns(typingctx, room, cos_at, sin_at, lanes):
    """Replace angles at `cos_at` by their cosines; their sines go to `sin_at`.

    The angle less its quarter turns is at most π/4, where the series below are exact to rounding. It
    is taken twice, so that it stays small where an angle is so large that the first count is off.
    """
    signature = types.void(room, cos_at, sin_at, lanes)

    def codegen(context, builder, signature, args):
        room = Lanes(context, builder, signature.args[0], args[0])
        whole = ir.VectorType(ir.IntType(32), room.vector.count)

        def bits(number):
            return ir.Constant(whole, [number] * whole.count)

        with over_lanes(builder, args[3], room.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            angle, quarters = room.load(places[0]), bits(0)
            for _ in range(2):
                count = builder.fmul(angle, room.constant(2.0 / math.pi))
                count = room.call("rint", count)
                quarters = builder.add(quarters, builder.fptosi(count, whole))
                for piece in _quarter_turn(room.size):
                    angle = room.call("fma", count, room.constant(-piece), angle)
            square = builder.fmul(angle, angle)
            cos = _series(builder, room, square, 0)
            sin = builder.fmul(angle, _series(builder, room, square, 1))
            odd = builder.icmp_signed("!=", builder.and_(quarters, bits(1)), bits(0))
            cos, sin = builder.select(odd, sin, cos), builder.select(odd, cos, sin)
            for value, more, place in ((cos, 1, places[0]), (sin, 0, places[1])):
                turned = builder.and_(builder.add(quarters, bits(more)), bits(2))
                turned = builder.icmp_signed("!=", turned, bits(0))
                room.store(builder.select(turned, builder.fneg(value), value), place)
        return context.get_dummy_value()

    return signature, codegen


def _quarter_turn(size: int) -> list[float]:
    """π/2 as a sum of three numbers of the type, to more digits than one has."""
    exact = decimal.Decimal("1.5707963267948966192313216916397514420985846996875529")
    pieces = []
    for _ in range(3):
        piece = float(exact) if size == 8 else float(np.float32(float(exact)))
        pieces.append(piece)
        exact -= decimal.Decimal(piece)
    return pieces


def _series(builder, room, square, first):
    """Σ (-square)^k / (2k + first)!, the cosine or the sine over its angle, by Horner's rule."""
    value = None
    for k in reversed(range(6 if room.size == 4 else 9)):
        factor = room.constant((-1) ** k / math.factorial(2 * k + first))
        value = factor if value is None else room.call("fma", value, square, factor)
    return value


@intrinsic
def add_angle(typingctx, room, cos_at, sin_at, cos_of, sin_of, lanes):
    """Add an angle of every lane to another, both given by cosine and sine."""
    signature = types.void(room, cos_at, sin_at, cos_of, sin_of, lanes)

    def codegen(context, builder, signature, args):
        room = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[5], room.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:5]]
            cos, sin, more_cos, more_sin = (room.load(place) for place in places)
            room.store(times_plus(builder, cos, more_cos, sin, more_sin, minus=True), places[0])
            room.store(times_plus(builder, sin, more_cos, cos, more_sin), places[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def shears(typingctx, room, cos_at, sin_at, lanes):
    """Turn cosine and sine of a/2 into the three shears of a rotation, -tan(a/4), sin(a/2), -tan(a/4).

    Where the cosine is negative the angle is a full turn less, which changes the sign of the state
    and nothing that can be read; so no tangent exceeds 1.
    """
    signature = types.void(room, cos_at, sin_at, lanes)

    def codegen(context, builder, signature, args):
        table = Lanes(context, builder, signature.args[0], args[0])
        zero, one = table.constant(0.0), table.constant(1.0)
        with over_lanes(builder, args[3], table.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            cos, sin = (table.load(place) for place in places)
            negative = builder.fcmp_ordered("<", cos, zero)
            cos = builder.select(negative, builder.fneg(cos), cos)
            sin = builder.select(negative, builder.fneg(sin), sin)
            tangent = builder.fdiv(sin, builder.fadd(one, cos, flags=FAST), flags=FAST)
            table.store(builder.fneg(tangent), places[0])
            table.store(sin, places[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def scale_turn(typingctx, room, cos_at, before, has_before, lanes):
    """Beside cosine and sine of a/2 put -tan(a/2), and the cosine times what is at `before`, if there is something."""
    signature = types.void(room, cos_at, before, has_before, lanes)

    def codegen(context, builder, signature, args):
        table = Lanes(context, builder, signature.args[0], args[0])
        _, cos_at, before, has_before, lanes = args
        places = [cos_at]
        for _ in range(3):
            places.append(builder.add(places[-1], lanes))
        before = builder.select(has_before, before, cos_at)  # of which nothing is taken
        with over_lanes(builder, lanes, table.vector.count) as (w, _):
            cos, sin = (table.load(builder.add(place, w)) for place in places[:2])
            whole = builder.fmul(cos, table.load(builder.add(before, w)))
            whole = builder.select(has_before, whole, cos)
            table.store(builder.fneg(builder.fdiv(sin, cos)), builder.add(places[2], w))
            table.store(whole, builder.add(places[3], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def inverse_squares(typingctx, room, at, lanes):
    """Σ_w 1 / room[at + w]²."""
    signature = room.dtype(room, at, lanes)

    def codegen(context, builder, signature, args):
        source = Lanes(context, builder, signature.args[0], args[0])
        sum_ = cgutils.alloca_once_value(builder, ir.Constant(source.vector, None))
        with over_lanes(builder, args[2], source.vector.count) as (w, _):
            value = source.load(builder.add(args[1], w))
            more = builder.fdiv(source.constant(1.0), builder.fmul(value, value))
            builder.store(builder.fadd(builder.load(sum_), more), sum_)
        return source.total(builder.load(sum_))

    return signature, codegen


@intrinsic
def over_square(typingctx, room, at, by, lanes):
    """room[at + w] /= room[by + w]²."""
    signature = types.void(room, at, by, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], rows.vector.count) as (w, _):
            place = builder.add(args[1], w)
            value = rows.load(builder.add(args[2], w))
            square = builder.fmul(value, value)
            rows.store(builder.fdiv(rows.load(place), square), place)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def take_next(typingctx, counters, which):
    """The number in counters[which], which then counts one more, whatever other threads do."""
    signature = types.int64(counters, types.int64)

    def codegen(context, builder, signature, args):
        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return signature, codegen


@intrinsic
def is_odd(typingctx, bits):
    """Whether a number has an odd number of bits."""
    signature = types.boolean(bits)

    def codegen(context, builder, signature, args):
        return builder.trunc(builder.ctpop(args[0]), ir.IntType(1))

    return signature, codegen

"""Cosines, shears and scaled tangents of angles that differ between samples, per block.

Every angle has two rows of `workspace`, which its rotation or phase reads (see `passes`). An angle
is a part that all samples share plus terms. Cosine and sine of each term are computed once, for all
rotations that use it.
"""

import decimal
import math
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.pass_list import COSINES, MOST_LEFT_OUT, SHEARS
from qtha_lab.simulators.cpu.records import (
    ANGLES,
    MEMBERS,
    SCALED_LAYERS,
    TERM_STARTS,
    line,
    places_of,
    rows_of,
)
from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    fields,
    fill,
    intrinsic,
    over_lanes,
    times_plus,
)

MOST_LEFT = 0.8  # largest reduced angle, just above π/4, for which the series are exact to rounding


class AngleData(NamedTuple):
    """Operands of the sweeps over angles.

    Attributes:
        workspace: Workspace of the thread.
        angles: Table of angles.
        sums: Numbers of sums, `records.SharedNumbers.sums`.
        lanes: Distance between rows.
        width: Number of lanes to process.
    """

    workspace: Any
    angles: Any
    sums: Any
    lanes: int
    width: int


@compiled(counts=False)
def make_angles(block, integers, shared, backward):
    """Fill the rows of all angles; return True if rotations run in scaled form.

    If a cosine is too small for scaling, all rotations of the block use shears.
    """
    angles, places = rows_of(integers, ANGLES, 4), places_of(integers)
    data = AngleData(block.workspace, angles, shared.sums, block.lanes, block.width)
    _add_terms(data, integers)
    may_scale = shared.products[-1] > 0
    is_scaled = may_scale
    if may_scale:
        is_scaled = _scale(data, rows_of(integers, SCALED_LAYERS, 2), places, backward)
    if may_scale and not is_scaled:  # the scaled form has overwritten the angles' own rows
        _add_terms(data, integers)
    for j in range(len(angles)):
        to = places.sampled + 2 * j * block.lanes
        if angles[j, 1] == COSINES:
            make_cosines(data, j, to)
        elif angles[j, 1] == SHEARS or not is_scaled:
            make_shears(data, j, to)
    return is_scaled


@compiled(inline="always", counts=False)
def _scale(data, scaled_layers, places, backward):
    """Fill the rows of scaled layers; return False if a cosine is too small."""
    for layer in range(len(scaled_layers)):
        first = scaled_layers[layer, 0]
        stop = first + scaled_layers[layer, 1]
        product_at, left_out = places.products + layer * data.lanes, data.workspace.dtype.type(0.0)
        for j in range(first, stop, 4):
            to = places.sampled + 2 * j * data.lanes
            if stop - j >= 4:
                left_out = _SCALE_4(data, j, to, product_at, j > first, backward)
            elif stop - j == 3:
                left_out = _SCALE_3(data, j, to, product_at, j > first, backward)
            elif stop - j == 2:
                left_out = _SCALE_2(data, j, to, product_at, j > first, backward)
            else:
                left_out = _SCALE_1(data, j, to, product_at, j > first, backward)
        if not left_out < MOST_LEFT_OUT:
            return False
    return True


@compiled(counts=False)
def _add_terms(data, integers):
    """Compute cosine and sine of every angle without exactly one term, in its own rows."""
    workspace, angles, lanes = data.workspace, data.angles, data.lanes
    places = places_of(integers)
    term_starts, members = line(integers, TERM_STARTS), line(integers, MEMBERS)
    for j in range(len(angles)):
        own = places.sampled + 2 * j * lanes
        if angles[j, 2] == own:
            fill(workspace, own, data.sums[angles[j, 0], 0], lanes)
            fill(workspace, own + lanes, data.sums[angles[j, 0], 1], lanes)
            for position in range(term_starts[j], term_starts[j + 1]):
                term_at = places.terms + 3 * members[position] * lanes
                add_angle(workspace, own, term_at, lanes, data.width)


class _Parts:
    """Cosines and sines of successive angles, each a shared part plus a lane's part."""

    def __init__(self, context, builder, kinds, args, count: int):
        self.builder = builder
        of, data = fields(builder, kinds[0], args[0])
        rows, angles, sums = (
            Lanes(context, builder, kind, array)
            for kind, array in zip(of[:3], data[:3], strict=True)
        )
        first, self.lanes, self.width, self.rows = args[1], data.lanes, data.width, rows
        self.parts = []
        for i in range(count):
            angle = builder.mul(builder.add(first, first.type(i)), first.type(4))
            of, total = (angles.number(builder.add(angle, first.type(k))) for k in (2, 3))
            total = builder.mul(total, first.type(6))
            places = total, builder.add(total, first.type(1))
            self.parts.append((of, *(rows.spread(sums.number(place)) for place in places)))

    def load(self, w):
        """Return the pairs (cosine, sine) of all angles for one vector of lanes."""
        return [
            _added(
                self.builder,
                cos,
                sin,
                *_pair(self.builder, self.rows, self.builder.add(of, w), self.lanes),
            )
            for of, cos, sin in self.parts
        ]


def _make_scaling(count: int):
    """Build a sweep that fills angles' rows with -tan(a/2) and 1/C².

    It handles `count` angles, and writes 1/C² only if `backward`. C is the product of the layer's
    cosines up to and including an angle. One division inverts all: 1/C of an angle is 1/C of the
    next angle times the cosine of the next.

    Signature: `f(data, first, to, product_at, has_before, backward)`. `data` is an `AngleData`,
    `first` the first angle and `to` the position of its rows. The row at `product_at` receives C of
    the last angle; with `has_before` it already holds C of the preceding angles. The sweep returns
    Σ 1/C² of the last angle over all lanes.
    """

    @intrinsic
    def sweep(typingctx, data, first, to, product_at, has_before, backward):
        dtype = data[0].dtype
        signature = dtype(data, first, to, product_at, has_before, backward)

        def codegen(context, builder, signature, args):
            parts = _Parts(context, builder, signature.args, args, count)
            rows, lanes = parts.rows, parts.lanes
            _, _, to, product_at, has_before, backward = args
            sum_ = cgutils.alloca_once_value(builder, ir.Constant(rows.vector, None))
            one = rows.constant(1.0)
            with over_lanes(builder, parts.width, rows.vector.count) as (w, _):
                place = builder.add(product_at, w)
                product, factors = builder.select(has_before, rows.load(place), one), []
                for cos, sin in parts.load(w):
                    factors.append((cos, sin, product))
                    product = builder.fmul(product, cos)
                rows.store(product, place)
                inverse = builder.fdiv(one, product)
                left_out = builder.fmul(inverse, inverse)
                builder.store(builder.fadd(builder.load(sum_), left_out), sum_)
                inverses = []
                for number, (cos, sin, before) in reversed(list(enumerate(factors))):
                    place = builder.add(to, builder.mul(lanes, lanes.type(2 * number)))
                    tangent = builder.fneg(builder.fmul(sin, builder.fmul(inverse, before)))
                    rows.store(tangent, builder.add(place, w))
                    inverses.append((builder.add(place, lanes), inverse))
                    inverse = builder.fmul(inverse, cos)
                with builder.if_then(backward):
                    for place, inverse in inverses:
                        rows.store(builder.fmul(inverse, inverse), builder.add(place, w))
            return rows.total(builder.load(sum_))

        return signature, codegen

    return sweep


_SCALE_1, _SCALE_2, _SCALE_3, _SCALE_4 = map(_make_scaling, range(1, 5))


@intrinsic
def make_cosines(typingctx, data, number, to):
    """Compute cosine and sine of an angle; operands as for `_make_scaling`."""
    signature = types.void(data, number, to)

    def codegen(context, builder, signature, args):
        parts = _Parts(context, builder, signature.args, args, 1)
        lanes, to = parts.lanes, args[2]
        with over_lanes(builder, parts.width, parts.rows.vector.count) as (w, _):
            (pair,) = parts.load(w)
            _store_pair(builder, parts.rows, pair, builder.add(to, w), lanes)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def make_shears(typingctx, data, number, to):
    """Compute the shears -tan(a/4), sin(a/2), -tan(a/4) of a rotation by a; operands as above.

    They follow from cosine and sine of a/2. For a negative cosine the angle is reduced by 2π, which
    flips only the sign of the state and no observable. So no tangent exceeds 1.
    """
    signature = types.void(data, number, to)

    def codegen(context, builder, signature, args):
        parts = _Parts(context, builder, signature.args, args, 1)
        rows, lanes, to = parts.rows, parts.lanes, args[2]
        zero, one = rows.constant(0.0), rows.constant(1.0)
        with over_lanes(builder, parts.width, rows.vector.count) as (w, _):
            ((cos, sin),) = parts.load(w)
            negative = builder.fcmp_ordered("<", cos, zero)
            cos = builder.select(negative, builder.fneg(cos), cos)
            sin = builder.select(negative, builder.fneg(sin), sin)
            tangent = builder.fdiv(sin, builder.fadd(one, cos, flags=FAST), flags=FAST)
            shears = builder.fneg(tangent), sin
            _store_pair(builder, rows, shears, builder.add(to, w), lanes)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def half_rotations(typingctx, workspace, cos_at, sin_at, width):
    """Replace angles at `cos_at` by their cosines, and write their sines to `sin_at`.

    An angle minus a multiple of π/2 is at most about π/4, where the series below are exact to
    rounding. For very large angles the multiple is inexact, so the reduction is repeated.
    """
    signature = types.void(workspace, cos_at, sin_at, width)

    def codegen(context, builder, signature, args):
        workspace = Lanes(context, builder, signature.args[0], args[0])
        whole = ir.VectorType(ir.IntType(32), workspace.vector.count)

        def bits(number):
            return ir.Constant(whole, [number] * whole.count)

        with over_lanes(builder, args[3], workspace.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            angle, quarters = _less_quarters(builder, workspace, workspace.load(places[0]), whole)
            place = cgutils.alloca_once_value(builder, angle)
            of_quarters = cgutils.alloca_once_value(builder, quarters)
            size = workspace.call("fabs", angle)
            is_large = workspace.any(
                builder.fcmp_unordered(">", size, workspace.constant(MOST_LEFT))
            )
            with builder.if_then(is_large, likely=False):
                angle, more = _less_quarters(builder, workspace, angle, whole)
                builder.store(angle, place)
                builder.store(builder.add(quarters, more), of_quarters)
            angle, quarters = builder.load(place), builder.load(of_quarters)
            square = builder.fmul(angle, angle)
            cos = _series(builder, workspace, square, 0)
            sin = builder.fmul(angle, _series(builder, workspace, square, 1))
            odd = builder.icmp_signed("!=", builder.and_(quarters, bits(1)), bits(0))
            cos, sin = builder.select(odd, sin, cos), builder.select(odd, cos, sin)
            for value, more, place in ((cos, 1, places[0]), (sin, 0, places[1])):
                rotated = builder.and_(builder.add(quarters, bits(more)), bits(2))
                rotated = builder.icmp_signed("!=", rotated, bits(0))
                workspace.store(builder.select(rotated, builder.fneg(value), value), place)
        return context.get_dummy_value()

    return signature, codegen


def _less_quarters(builder, workspace, angle, whole):
    """Reduce an angle by the nearest multiple of π/2; return both.

    In float64 the multiple is taken modulo 4.
    """
    count = workspace.call("rint", builder.fmul(angle, workspace.constant(2.0 / math.pi)))
    for piece in _quarter_rotation(workspace.size):
        angle = workspace.call("fma", count, workspace.constant(-piece), angle)
    if (
        workspace.size == 8
    ):  # the multiple may exceed 32 bits; in float32 such a number is a multiple of 4
        fours = workspace.call("rint", builder.fmul(count, workspace.constant(0.25)))
        count = workspace.call("fma", fours, workspace.constant(-4.0), count)
    return angle, builder.fptosi(count, whole)


def _quarter_rotation(size: int) -> list[float]:
    """Split π/2 into a sum of three numbers for extra precision."""
    exact = decimal.Decimal("1.5707963267948966192313216916397514420985846996875529")
    pieces = []
    for _ in range(3):
        piece = float(exact) if size == 8 else float(np.float32(float(exact)))
        pieces.append(piece)
        exact -= decimal.Decimal(piece)
    return pieces


def _series(builder, workspace, square, first):
    """Sum the series Σ (-square)^k / (2k + first)! by Horner's rule.

    The result is the cosine for `first` 0, and the sine divided by its angle for `first` 1.
    """
    value = None
    for k in reversed(range(6 if workspace.size == 4 else 9)):
        factor = workspace.constant((-1) ** k / math.factorial(2 * k + first))
        value = factor if value is None else workspace.call("fma", value, square, factor)
    return value


@intrinsic
def add_angle(typingctx, workspace, to, of, lanes, width):
    """Add the angles at `of` to those at `to`, as cosine and sine rows."""
    signature = types.void(workspace, to, of, lanes, width)

    def codegen(context, builder, signature, args):
        workspace = Lanes(context, builder, signature.args[0], args[0])
        _, to, of, lanes, width = args
        with over_lanes(builder, width, workspace.vector.count) as (w, _):
            place = builder.add(to, w)
            angle = _pair(builder, workspace, place, lanes)
            term = _pair(builder, workspace, builder.add(of, w), lanes)
            _store_pair(builder, workspace, _added(builder, *angle, *term), place, lanes)
        return context.get_dummy_value()

    return signature, codegen


def _pair(builder, workspace, place, lanes):
    """Load cosine and sine from two successive rows."""
    return workspace.load(place), workspace.load(builder.add(place, lanes))


def _store_pair(builder, workspace, pair, place, lanes):
    for value, at in zip(pair, (place, builder.add(place, lanes)), strict=True):
        workspace.store(value, at)


def _added(builder, cos, sin, more_cos, more_sin):
    """Compute cosine and sine of the sum of two angles."""
    return (
        times_plus(builder, cos, more_cos, sin, more_sin, minus=True),
        times_plus(builder, sin, more_cos, cos, more_sin),
    )

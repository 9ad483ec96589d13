"""Accumulation of rotation gradients from a pass into the sums and terms of their angles.

A pass leaves the gradients of two rotations as their sum and their difference (see `passes`). The
lanes may still lack the cosines of scaled rotations.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.pass_kinds import THREE, THREE_SCALED
from qtha_lab.simulators.cpu.records import (
    MEMBERS,
    TERM_STARTS,
    line,
    passes_of,
    places_of,
    rotations_of,
)
from qtha_lab.simulators.cpu.row_operations import fill
from qtha_lab.simulators.cpu.vectors import FAST, Lanes, fields, intrinsic, over_lanes


@compiled(inline="always", counts=False)
def add_rotation_gradients(block, integers, number, sums, is_scaled, sum_gradients, group):
    """Add the gradients of a pass's rotations to their sums and terms.

    The gradients are at `places.gradients`, two rows per two rotations; the next four rows are
    scratch memory.

    Args:
        block: Block of samples.
        integers: Tables of the plan.
        number: Number of the pass.
        sums: Numbers of sums, `records.SharedNumbers.sums`.
        is_scaled: Whether rotations were executed in scaled form.
        sum_gradients: Gradients of sums, (groups, sums + 1).
        group: Row of `sum_gradients` to add to.
    """
    passes, rotations, places = passes_of(integers), rotations_of(integers), places_of(integers)
    for i in range(0, 4, 2):
        first, second = passes[number, 4 + i], passes[number, 5 + i]
        if first < 0:
            continue
        by, factor = -1, block.workspace.dtype.type(1.0)
        if is_scaled:  # gradients are taken after all rotations of the pass
            last = _last_rotation(passes, number, first, second)
            by, factor = rotations[last, 4], sums[rotations[last, 0], 5]
        spare = places.gradients + (4 + i) * block.lanes
        both = _pair_gradients(block, rotations, (first, second), spare, by, factor)
        sum_gradients[group, rotations[first, 0]] += both[0]
        if second >= 0:
            sum_gradients[group, rotations[second, 0]] += both[1]
        for k in range(2):
            rotation = passes[number, 4 + i + k]
            if rotation >= 0 and rotations[rotation, 5]:
                _add_to_terms(block, integers, rotations[rotation, 1], spare + k * block.lanes)


@compiled(inline="always", counts=False)
def _last_rotation(passes, number, first, second):
    """Return the last rotation of a step of two or three rotations."""
    if passes[number, 0] == THREE or passes[number, 0] == THREE_SCALED:
        return passes[number, 6]
    return second if second >= 0 else first


@compiled(inline="always", counts=False)
def _pair_gradients(block, rotations, pair, spare, by, factor):
    """Add the gradients of two rotations to the rows of their terms; return their sums.

    Args:
        block: Block of samples.
        rotations: Table of rotations.
        pair: Both rotations; the second may be -1.
        spare: Position of two scratch rows, four rows after the gradients.
        by: Position of a row of factors; negative: none.
        factor: Factor of both gradients in all lanes.
    """
    workspace, lanes = block.workspace, block.lanes
    first, second = pair
    at, goal = spare - 4 * lanes, rotations[first, 3]
    next_goal = rotations[second, 3] if second >= 0 else -1
    if goal < 0 and next_goal < 0 and by < 0 and not rotations[first, 5]:
        half = workspace.dtype.type(0.5)
        both, less = totals(workspace, at, lanes, block.width)
        gradients = half * factor * (both + less), half * factor * (both - less)
    else:
        if goal < 0 or next_goal < 0:
            fill(workspace, spare, workspace.dtype.type(0.0), 2 * lanes)
        goals = goal if goal >= 0 else spare, next_goal if next_goal >= 0 else spare + lanes
        gradients = take_gradients(block, at, factor, by, goals)
    return gradients


@compiled(inline="always", counts=False)
def _add_to_terms(block, integers, angle, row):
    """Add a row of gradients to every term of an angle."""
    term_starts, members = line(integers, TERM_STARTS), line(integers, MEMBERS)
    for position in range(term_starts[angle], term_starts[angle + 1]):
        to = places_of(integers).terms + (3 * members[position] + 2) * block.lanes
        add(block.workspace, to, row, block.width)


@intrinsic
def take_gradients(typingctx, block, at, factor, by, goals):
    """Add the gradients of two rotations to rows, and return their sums over the lanes.

    Args:
        typingctx: Typing context of numba.
        block: Block of samples.
        at: Position of the sum of both gradients; the next row holds their difference.
        factor: Factor of both gradients in all lanes.
        by: Position of a row of factors; negative: none.
        goals: Rows to which both gradients are added.
    """
    signature = types.UniTuple(block[0].dtype, 2)(block, at, factor, by, goals)

    def codegen(context, builder, signature, args):
        of, block = fields(builder, signature.args[0], args[0])
        rows = Lanes(context, builder, of.workspace, block.workspace)
        _, at, factor, by, goals = args
        goals = cgutils.unpack_tuple(builder, goals, 2)
        lanes, width = block.lanes, block.width
        has_by = builder.icmp_signed(">=", by, by.type(0))
        by = builder.select(has_by, by, at)  # a valid address; its values are ignored
        half = rows.spread(builder.fmul(factor, factor.type(0.5)))
        zero = ir.Constant(rows.vector, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in goals]
        with over_lanes(builder, width, rows.vector.count) as (w, _):
            place = builder.add(at, w)
            both, difference = rows.load(place), rows.load(builder.add(place, lanes))
            weight = builder.fmul(rows.load(builder.add(by, w)), half, flags=FAST)
            weight = builder.select(has_by, weight, half)
            gradients = (
                builder.fadd(both, difference, flags=FAST),
                builder.fsub(both, difference, flags=FAST),
            )
            for gradient, goal, sum_ in zip(gradients, goals, sums, strict=True):
                gradient = builder.fmul(gradient, weight, flags=FAST)
                place = builder.add(goal, w)
                rows.store(builder.fadd(rows.load(place), gradient, flags=FAST), place)
                builder.store(builder.fadd(builder.load(sum_), gradient, flags=FAST), sum_)
        totals = [rows.total(builder.load(sum_)) for sum_ in sums]
        return context.make_tuple(builder, signature.return_type, totals)

    return signature, codegen


@intrinsic
def totals(typingctx, workspace, at, lanes, width):
    """Return the sums over the first `width` lanes of two successive rows."""
    signature = types.UniTuple(workspace.dtype, 2)(workspace, at, lanes, width)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, at, lanes, width = args
        zero = ir.Constant(rows.vector, None)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2)]
        with over_lanes(builder, width, rows.vector.count) as (w, _):
            place = builder.add(at, w)
            for sum_ in sums:
                more = builder.fadd(builder.load(sum_), rows.load(place), flags=FAST)
                builder.store(more, sum_)
                place = builder.add(place, lanes)
        results = [rows.total(builder.load(sum_)) for sum_ in sums]
        return context.make_tuple(builder, signature.return_type, results)

    return signature, codegen


@intrinsic
def mix(typingctx, workspace, first, second, lanes):
    """Replace two rows by their sum and their difference."""
    signature = types.void(workspace, first, second, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], rows.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:3]]
            a, b = (rows.load(place) for place in places)
            rows.store(builder.fadd(a, b, flags=FAST), places[0])
            rows.store(builder.fsub(a, b, flags=FAST), places[1])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def add(typingctx, workspace, to, start, lanes):
    """Add one row to another: workspace[to + w] += workspace[start + w]."""
    signature = types.void(workspace, to, start, lanes)

    def codegen(context, builder, signature, args):
        workspace = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[3], workspace.vector.count) as (w, _):
            place = builder.add(args[1], w)
            more = workspace.load(builder.add(args[2], w))
            workspace.store(builder.fadd(workspace.load(place), more, flags=FAST), place)
        return context.get_dummy_value()

    return signature, codegen

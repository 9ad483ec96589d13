"""Accumulation of rotation gradients from a pass into the sums and terms of their angles.

A pass leaves the gradients of two rotations as their sum and their difference (see `passes`). The
lanes may still lack the cosines of scaled rotations.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.passes import THREE, THREE_SCALED
from qtha_lab.simulators.cpu.row_operations import fill
from qtha_lab.simulators.cpu.vectors import FAST, Lanes, intrinsic, over_lanes


@compiled(inline="always", counts=False)
def take_turn_gradients(
    workspace, lanes, width, ops, op, rotations, shared, is_scaled, gradients, terms_at, term_starts, members, sum_gradients,
    group,
):  # fmt: skip
    """Add the gradients of a pass's rotations to their sums and terms.

    Args:
        workspace: Workspace of `kernel.walk`.
        lanes: Distance between rows.
        width: Number of lanes to process.
        ops: The passes.
        op: Index of the pass.
        rotations: Table of rotations (see `plan`).
        shared: Numbers of sums, by `angles.parts`.
        is_scaled: Whether rotations were executed in scaled form.
        gradients: Position of the gradients in `workspace`, two rows per two rotations; the next
            four rows are scratch memory.
        terms_at: Position of the terms' rows; the third row of each term is its gradient.
        term_starts: Start of the terms of each angle in `members`, and the end of the last.
        members: Terms of the angles.
        sum_gradients: Gradients of sums, (groups, sums + 1).
        group: Row of `sum_gradients` to add to.
    """
    half, zero = workspace.dtype.type(0.5), workspace.dtype.type(0.0)
    is_three = ops[op, 0] == THREE or ops[op, 0] == THREE_SCALED
    for i in range(0, 4, 2):
        first, second = ops[op, 4 + i], ops[op, 5 + i]
        if first >= 0:
            last = second if second >= 0 else first  # gradients are taken after all rotations
            last = ops[op, 6] if is_three else last
            at, spare = gradients + i * lanes, gradients + (4 + i) * lanes
            goal = rotations[first, 3]
            next_goal = rotations[second, 3] if second >= 0 else -1
            by = rotations[last, 4] if is_scaled else -1
            factor = shared[rotations[last, 0], 5] if is_scaled else workspace.dtype.type(1.0)
            if goal < 0 and next_goal < 0 and by < 0 and not rotations[first, 5]:
                both, less = totals(workspace, at, lanes, width)
                gradient, next_gradient = (
                    half * factor * (both + less),
                    half * factor * (both - less),
                )
            else:
                if goal < 0 or next_goal < 0:
                    fill(workspace, spare, zero, 2 * lanes)
                gradient, next_gradient = take_gradients(
                    workspace, at, factor, by, goal if goal >= 0 else spare,
                    next_goal if next_goal >= 0 else spare + lanes, lanes, width,
                )  # fmt: skip
            sum_gradients[group, rotations[first, 0]] += gradient
            if second >= 0:
                sum_gradients[group, rotations[second, 0]] += next_gradient
            for k in range(2):
                rotation = ops[op, 4 + i + k]
                if rotation >= 0 and rotations[rotation, 5]:
                    j = rotations[rotation, 1]
                    for position in range(term_starts[j], term_starts[j + 1]):
                        to = terms_at + (3 * members[position] + 2) * lanes
                        add(workspace, to, spare + k * lanes, width)


@intrinsic
def take_gradients(typingctx, workspace, at, factor, by, first, second, lanes, width):
    """Add the gradients of two rotations to rows, and return their sums over the lanes.

    Args:
        typingctx: Typing context of numba.
        workspace: Workspace of `kernel.walk`.
        at: Position of the sum of both gradients; the next row holds their difference.
        factor: Factor of both gradients in all lanes.
        by: Position of a row of factors; negative: none.
        first: Row to which the first gradient is added.
        second: Row to which the second gradient is added.
        lanes: Distance between rows.
        width: Number of lanes to process.
    """
    signature = types.UniTuple(workspace.dtype, 2)(
        workspace, at, factor, by, first, second, lanes, width
    )

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, at, factor, by, *goals, lanes, width = args
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
        made = [rows.total(builder.load(sum_)) for sum_ in sums]
        return context.make_tuple(builder, signature.return_type, made)

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

"""Rotations, phases and their gradients on vectors of rows, as LLVM instructions."""

from numba import types

from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    fields,
    intrinsic,
    minus_times,
    over_lanes,
    plus_times,
    times_plus,
)


def rotated(builder, rows, bit, outer, inner):
    """Apply one rotation to 2^k row vectors, as three shears or in scaled form.

    `bit` of a row's index selects the half of the rotation. Without `inner` the rotation is scaled,
    and `outer` is -tan(a/2).
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


def rotation_gradients(builder, sums, rows, duals):
    """Add the gradients of two rotations to `sums`.

    A gradient is Σ (λ_high ψ_low - λ_low ψ_high) over pairs of rows. `sums` holds the sum and the
    difference of both. These need half as many products; the extra additions run in parallel on
    processors with separate units for additions.
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


def phased(builder, row, numbers, backward):
    """Compute (a + ib)·(cos - i·sin), or backward its inverse, with three products for four.

    `numbers` holds cos, sin - cos and sin + cos.
    """
    (a, b), (cos, less, more) = row, numbers
    both = builder.fmul(cos, builder.fadd(a, b, flags=FAST), flags=FAST)
    if backward:
        return minus_times(builder, both, b, more), plus_times(builder, both, a, less)
    return plus_times(builder, both, b, less), minus_times(builder, both, a, more)


def phased_of_real(builder, a, numbers):
    """Compute a·(cos - i·sin) for real a; `numbers` as for `phased`."""
    cos, less, _ = numbers
    real = builder.fmul(a, cos, flags=FAST)
    return real, builder.fneg(plus_times(builder, real, a, less))


def rotated_by(builder, a, b, cos, sin):
    """Compute (a + ib)·(cos - i·sin)."""
    return times_plus(builder, a, cos, b, sin), times_plus(builder, b, cos, a, sin, minus=True)


def phase_gradient(builder, gradient, row, dual):
    """Add Im(λ* ψ) of one row to a gradient."""
    overlap = times_plus(builder, dual[0], row[1], dual[1], row[0], minus=True)
    return builder.fadd(gradient, overlap, flags=FAST)


def make_phase(backward: bool):
    """Build a sweep that multiplies one row of ψ by cos - i·sign·sin per lane.

    Signature: `f(data, place, sign, at)` for a `records.PassData`. The cosines are at `at` in the
    workspace, the sines a row further. Backward the phase is undone on ψ and λ, and sign·Im(λ* ψ)
    is added to the row at `gradients`.
    """

    @intrinsic
    def sweep(typingctx, data, place, sign, at):
        signature = types.void(data, place, sign, at)

        def codegen(context, builder, signature, args):
            kinds, data = fields(builder, signature.args[0], args[0])
            workspace = Lanes(context, builder, kinds.workspace, data.workspace)
            _, place, sign, at = args
            lanes, width, plane, gradients = data.lanes, data.width, data.plane, data.gradients
            sign = workspace.spread(sign)
            with over_lanes(builder, width, workspace.vector.count) as (w, _):
                angle = builder.add(at, w)
                cos, sin = workspace.load(angle), workspace.load(builder.add(angle, lanes))
                sin = builder.fmul(sin, sign, flags=FAST)
                sin = builder.fneg(sin) if backward else sin
                rows = []
                for state in range(1 + backward):
                    shift = builder.mul(plane, plane.type(2 * state))
                    real = builder.add(builder.add(place, shift), w)
                    places = real, builder.add(real, plane)
                    rows.append([workspace.load(p) for p in places])
                    phased = rotated_by(builder, rows[-1][0], rows[-1][1], cos, sin)
                    for value, p in zip(phased, places, strict=True):
                        workspace.store(value, p)
                if backward:
                    lane_place = builder.add(gradients, w)
                    gradient = phase_gradient(builder, workspace.constant(0.0), *rows)
                    gradient = builder.fmul(gradient, sign, flags=FAST)
                    workspace.store(
                        builder.fadd(gradient, workspace.load(lane_place), flags=FAST), lane_place
                    )
            return context.get_dummy_value()

        return signature, codegen

    return sweep

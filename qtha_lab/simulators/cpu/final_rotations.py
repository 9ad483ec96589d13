"""Z behind the last turns of a circuit, which are not done: U†ZU = cos a Z - sin a X of a turn U by a.

So that what is read of a turn's wire behind it is made of ⟨Z⟩ and ⟨X⟩ before it, and λ, which starts from what a loss
gains by ⟨Z⟩ behind it, starts before it too.
"""

from numba import types

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.rotation_gradients import mix
from qtha_lab.simulators.cpu.row_operations import fill
from qtha_lab.simulators.cpu.vectors import (
    FAST,
    Lanes,
    intrinsic,
    over_lanes,
    plus_times,
    times_plus,
)


@compiled(counts=False, fastmath=True)
def weigh_rotations(workspace, lanes, width, ops, at, first, rotations, gradients, reads_at):
    """Before pass `at` backward: what λ gains by the turns that it reads behind, of its four the `first` and later."""
    for i in range(first, 4):
        z, x = gradients + (8 + i) * lanes, gradients + (12 + i) * lanes
        if ops[at, 4 + i] <= 0:
            fill(workspace, z, workspace.dtype.type(0.0), lanes)
            fill(workspace, x, workspace.dtype.type(0.0), lanes)
        else:
            value = reads_at + rotations[ops[at, 4 + i], 2] * lanes
            where = ops[at, 8 + 3 * i], ops[at, 9 + 3 * i], ops[at, 10 + 3 * i]
            rotated_weights(workspace, z, x, value, where[0], where[1], where[2], width)


@compiled(counts=False, fastmath=True)
def read_rotations(workspace, lanes, width, ops, at, first, rotations, gradients, reads_at, back):
    """After pass `at`: ⟨Z⟩ behind the turns that it reads behind, `first` and later, or sums and differences of slopes."""
    for i in range(first, 4):
        if ops[at, 4 + i] > 0:
            z, half_x = gradients + i * lanes, gradients + (4 + i) * lanes
            if back:
                turned_gradient(workspace, z, half_x, z + 8 * lanes, z + 12 * lanes, width)
            else:
                to = reads_at + rotations[ops[at, 4 + i], 2] * lanes
                where = ops[at, 8 + 3 * i], ops[at, 9 + 3 * i], ops[at, 10 + 3 * i]
                rotated_z(workspace, to, z, half_x, where[0], where[1], where[2], width)
    for i in range(first, 4 if back else first, 2):  # as the slopes of other turns are given
        mix(workspace, gradients + i * lanes, gradients + (i + 1) * lanes, width)


@intrinsic
def rotated_z(typingctx, workspace, to, z, half_x, shears_at, gap, sampled, lanes):
    """room[to + w] = cos a · z - sin a · x: ⟨Z⟩ behind a turn by a, from ⟨Z⟩ and half of ⟨X⟩ before it and its shears."""
    signature = types.void(workspace, to, z, half_x, shears_at, gap, sampled, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, to, z, half_x, *shears, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            cos, twice_sin = _whole_rotation(builder, rows, w, shears)
            z, half_x = (rows.load(builder.add(place, w)) for place in (z, half_x))
            value = times_plus(builder, cos, z, twice_sin, half_x, minus=True)
            rows.store(value, builder.add(to, w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def rotated_weights(typingctx, workspace, z_to, x_to, value, shears_at, gap, sampled, lanes):
    """What λ gains of Z and loses of X before a turn by a, of whose ⟨Z⟩ a loss has the slope room[value + w]."""
    signature = types.void(workspace, z_to, x_to, value, shears_at, gap, sampled, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, z_to, x_to, value, *shears, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            cos, twice_sin = _whole_rotation(builder, rows, w, shears)
            gradient = rows.load(builder.add(value, w))
            half = builder.fmul(gradient, rows.constant(0.5), flags=FAST)
            rows.store(builder.fmul(gradient, cos, flags=FAST), builder.add(z_to, w))
            rows.store(builder.fmul(half, twice_sin, flags=FAST), builder.add(x_to, w))
        return context.get_dummy_value()

    return signature, codegen


def _whole_rotation(builder, rows, w, shears):
    """cos a and 2 sin a from -tan(a/4) and sin(a/2), whatever the sign that `shears` gave both halves."""
    at, gap, sampled = shears
    at = builder.add(at, builder.and_(w, sampled))
    outer, sin = rows.load(at), rows.load(builder.add(at, gap))
    cos = plus_times(builder, rows.constant(1.0), outer, sin)
    four_sin = builder.fmul(rows.constant(4.0), sin, flags=FAST)
    return (
        times_plus(builder, cos, cos, sin, sin, minus=True),
        builder.fmul(four_sin, cos, flags=FAST),
    )


@intrinsic
def turned_gradient(typingctx, workspace, z, half_x, z_weight, x_weight, lanes):
    """Replace ⟨Z⟩ before a turn by the slope of a loss by its angle: -(x_weight · z + z_weight · x)."""
    signature = types.void(workspace, z, half_x, z_weight, x_weight, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[5], rows.vector.count) as (w, _):
            places = [builder.add(place, w) for place in args[1:5]]
            z, half_x, z_weight, x_weight = (rows.load(place) for place in places)
            x = builder.fadd(half_x, half_x, flags=FAST)
            gradient = times_plus(builder, x_weight, z, z_weight, x)
            rows.store(builder.fneg(gradient), places[0])
        return context.get_dummy_value()

    return signature, codegen

"""⟨Z⟩ after the final rotations without their execution.

U†ZU = cos a Z - sin a X for a rotation U by a. So ⟨Z⟩ after it follows from ⟨Z⟩ and ⟨X⟩ before it,
and the adjoint state λ is also initialised before it.
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
    """Compute the weights of Z and X in λ before pass `at` runs backward.

    A pass has four rotations; the `first` and later ones are read out.
    """
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
    """Compute ⟨Z⟩ after the final rotations of pass `at`, or backward their gradients.

    Only the rotations `first` and later of the pass are read out. Gradients are left as sums and
    differences of pairs, as other passes leave them.
    """
    for i in range(first, 4):
        if ops[at, 4 + i] > 0:
            z, half_x = gradients + i * lanes, gradients + (4 + i) * lanes
            if back:
                turned_gradient(workspace, z, half_x, z + 8 * lanes, z + 12 * lanes, width)
            else:
                to = reads_at + rotations[ops[at, 4 + i], 2] * lanes
                where = ops[at, 8 + 3 * i], ops[at, 9 + 3 * i], ops[at, 10 + 3 * i]
                rotated_z(workspace, to, z, half_x, where[0], where[1], where[2], width)
    for i in range(first, 4 if back else first, 2):  # same form as the gradients of other passes
        mix(workspace, gradients + i * lanes, gradients + (i + 1) * lanes, width)


@intrinsic
def rotated_z(typingctx, workspace, to, z, half_x, shears_at, gap, sampled, lanes):
    """Compute ⟨Z⟩ after a rotation by a from ⟨Z⟩ and ⟨X⟩ before.

    The result is workspace[to + w] = cos a · z - sin a · x. Inputs are z = ⟨Z⟩, half of x = ⟨X⟩,
    and the rotation's shears.
    """
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
    """Write g·cos(a) and g·sin(a), the weights of Z and -X in λ.

    λ is taken before a rotation by a; g = workspace[value + w] is the gradient by ⟨Z⟩ after it.
    """
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
    """Return cos a and 2 sin a from the shears -tan(a/4) and sin(a/2).

    The result does not depend on the common sign of cos(a/2) and sin(a/2).
    """
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
    """Replace ⟨Z⟩ before a rotation by its angle's gradient.

    The gradient is -(x_weight · z + z_weight · x).
    """
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

"""⟨Z⟩ after the final rotations without their execution.

U†ZU = cos a Z - sin a X for a rotation U by a. So ⟨Z⟩ after it follows from ⟨Z⟩ and ⟨X⟩ before it,
and the adjoint state λ is also initialised before it.
"""

from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.records import passes_of, places_of, rotations_of
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
def weight_rotations(block, integers, number, first):
    """Compute the weights of Z and X in λ before pass `number` runs backward.

    A pass has four rotations; the `first` and later ones are read out.
    """
    workspace, lanes, places = block.workspace, block.lanes, places_of(integers)
    passes, rotations = passes_of(integers), rotations_of(integers)
    for i in range(first, 4):
        rotation = passes[number, 4 + i]
        z, x = places.gradients + (8 + i) * lanes, places.gradients + (12 + i) * lanes
        if rotation <= 0:
            fill(workspace, z, workspace.dtype.type(0.0), lanes)
            fill(workspace, x, workspace.dtype.type(0.0), lanes)
        else:
            value = places.observables + rotations[rotation, 2] * lanes
            shears = _shears(passes, number, i)
            rotated_weights(workspace, (z, x), value, shears, block.width)


@compiled(counts=False, fastmath=True)
def expect_rotations(block, integers, number, first, backward):
    """Compute ⟨Z⟩ after the final rotations of pass `number`, or backward their gradients.

    Only the rotations `first` and later of the pass are read out. Gradients are left as sums and
    differences of pairs, as other passes leave them.
    """
    workspace, lanes, places = block.workspace, block.lanes, places_of(integers)
    passes, rotations, gradients = passes_of(integers), rotations_of(integers), places.gradients
    for i in range(first, 4):
        rotation = passes[number, 4 + i]
        if rotation > 0:
            z, half_x = gradients + i * lanes, gradients + (4 + i) * lanes
            if backward:
                weights = z + 8 * lanes, z + 12 * lanes
                final_gradient(workspace, z, half_x, weights, block.width)
            else:
                to = places.observables + rotations[rotation, 2] * lanes
                shears = _shears(passes, number, i)
                rotated_z(workspace, to, (z, half_x), shears, block.width)
    # same form as the gradients of other passes
    for i in range(first, 4 if backward else first, 2):
        mix(workspace, gradients + i * lanes, gradients + (i + 1) * lanes, block.width)


@compiled(inline="always", counts=False)
def _shears(passes, number, i):
    """Return position, gap and flag of the shears of rotation `i` of a pass."""
    return passes[number, 8 + 3 * i], passes[number, 9 + 3 * i], passes[number, 10 + 3 * i]


@intrinsic
def rotated_z(typingctx, workspace, to, values, shears, lanes):
    """Compute ⟨Z⟩ after a rotation by a from ⟨Z⟩ and ⟨X⟩ before.

    The result is workspace[to + w] = cos a · z - sin a · x. `values` are the rows of z = ⟨Z⟩ and
    half of x = ⟨X⟩; `shears` come from `_shears`.
    """
    signature = types.void(workspace, to, values, shears, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, to, values, shears, lanes = args
        shears = cgutils.unpack_tuple(builder, shears, 3)
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            cos, twice_sin = _whole_rotation(builder, rows, w, shears)
            z, half_x = (
                rows.load(builder.add(place, w))
                for place in cgutils.unpack_tuple(builder, values, 2)
            )
            value = times_plus(builder, cos, z, twice_sin, half_x, minus=True)
            rows.store(value, builder.add(to, w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def rotated_weights(typingctx, workspace, weights, value, shears, lanes):
    """Write g·cos(a) and g·sin(a), the weights of Z and -X in λ.

    λ is taken before a rotation by a; g = workspace[value + w] is the gradient by ⟨Z⟩ after it.
    """
    signature = types.void(workspace, weights, value, shears, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, weights, value, shears, lanes = args
        z_to, x_to = cgutils.unpack_tuple(builder, weights, 2)
        shears = cgutils.unpack_tuple(builder, shears, 3)
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
def final_gradient(typingctx, workspace, z, half_x, weights, lanes):
    """Replace ⟨Z⟩ before a rotation by its angle's gradient.

    The gradient is -(x_weight · z + z_weight · x); `weights` are the rows of z_weight and x_weight.
    """
    signature = types.void(workspace, z, half_x, weights, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        weights = cgutils.unpack_tuple(builder, args[3], 2)
        with over_lanes(builder, args[4], rows.vector.count) as (w, _):
            places = [builder.add(place, w) for place in (*args[1:3], *weights)]
            z, half_x, z_weight, x_weight = (rows.load(place) for place in places)
            x = builder.fadd(half_x, half_x, flags=FAST)
            gradient = times_plus(builder, x_weight, z, z_weight, x)
            rows.store(builder.fneg(gradient), places[0])
        return context.get_dummy_value()

    return signature, codegen

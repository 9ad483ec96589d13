"""Code generators of first, inner and final passes of rotations.

Final rotations are not executed: U†ZU = cos a Z - sin a X for a rotation U by a. So ⟨Z⟩ after it
follows from ⟨Z⟩ and ⟨X⟩ before it, and the adjoint state λ is also initialised before it.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.angles import mix
from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.pass_code import PassCode, PassOperands, rotation_gradients
from qtha_lab.simulators.cpu.pass_list import KINDS
from qtha_lab.simulators.cpu.records import PASS_WIDTH, passes_of, places_of, rotations_of
from qtha_lab.simulators.cpu.vectors import (
    BYTES,
    FAST,
    Lanes,
    fields,
    fill,
    intrinsic,
    minus_times,
    over_lanes,
    plus_times,
    times_plus,
)


class FirstPassCode(PassCode):
    """Pass of two rotations of a state with one nonzero row of four.

    The nonzero row is the first; the new amplitudes are products of cosines and sines.
    """

    def operate(self, w):
        builder = self.builder
        (cos, sin), (next_cos, next_sin) = (self.numbers(w, i, scaled=False) for i in range(2))
        shares = [
            builder.fmul(one, other, flags=FAST)
            for other in (next_cos, next_sin)
            for one in (cos, sin)
        ]
        if not self.backward:
            before = self.values[0][0]
            self.values = [[builder.fmul(before, share, flags=FAST) for share in shares]]
            return
        self.add_rotation_gradients(w, 0)
        for number, (a, b, c, d) in enumerate(self.values):  # undo: one row holds the state
            a, c = (
                times_plus(builder, one, share, other, next_share)
                for one, other, share, next_share in ((a, b, *shares[:2]), (c, d, *shares[2:]))
            )
            self.values[number] = [builder.fadd(a, c, flags=FAST)]
        self.values[0] += [
            self.workspace.constant(0.0)
        ] * 3  # read by the first pass of an odd number of rotations


class TriplePassCode(PassCode):
    """Pass of three rotations of eight rows, which needs fewer sweeps over memory.

    The planes are processed one after the other, to fit in registers.
    """

    n_rotations = 3

    def over_groups(self):
        builder, plane = self.builder, self.operands.plane
        stop = builder.mul(plane, plane.type(2))
        of_states = self.planes
        planes = cgutils.for_range_slice(builder, plane.type(0), stop, plane, plane.type, inc=True)
        with planes as (of_plane, _):
            self.of_plane = of_plane
            self.planes = [builder.add(state, of_plane) for state in of_states]
            self.goals = self.planes
            super().over_groups()
        if self.backward:  # the third gradient as sum and difference with a gradient of 0
            with over_lanes(builder, self.operands.width, self.workspace.vector.count) as (w, _):
                place, next_place = (self.lane_place(w, row) for row in (2, 3))
                self.workspace.store(self.workspace.load(place), next_place)

    def is_later_group(self, at):
        later_plane = self.builder.icmp_signed("!=", self.of_plane, self.of_plane.type(0))
        return self.builder.or_(super().is_later_group(at), later_plane)

    def add_rotation_gradients(self, w, number):
        builder, (rows, duals) = self.builder, self.values
        places = [self.lane_place(w, number + i) for i in range(3)]
        *sums, third = (self.sum_so_far(place) for place in places)
        for low in range(4):
            high = low + 4
            third = plus_times(builder, third, duals[high], rows[low])
            third = minus_times(builder, third, duals[low], rows[high])
        for first in (0, 4):
            four = slice(first, first + 4)
            sums = rotation_gradients(builder, sums, rows[four], duals[four])
        for sum_, place in zip((*sums, third), places, strict=True):
            self.workspace.store(sum_, place)


def make_passes(backward: bool):
    """Build the sweep that runs a pass of any of `KINDS` after the first.

    It processes groups of four or eight rows. Rows of ψ stay in registers between the operations.
    Backward the operations are undone on ψ and on λ, which lies two planes further, and the
    gradients are added up. For a real state λ's imaginary plane is neither read nor written.

    Returns:
        A sweep with the signature below.

    `f(kind, number, psi, data)` runs pass `number` of a `records.PassData` as `kind`, on the first
    `width` numbers of rows that are `lanes` apart.

    * `rows` holds the positions of rows in `workspace`, relative to `psi` for ψ. Backward, "r"
      writes ψ to rows from 0 on.
    * For each of four rotations, `passes` holds the position of its shear -tan(a/4) in `workspace`,
      the distance from there to sin(a/2) and from that to -tan(a/2), and a flag. The flag is 0, or
      -1 if the angle differs between samples; then -tan(a/2) takes the place of -tan(a/4).
      Rotations of "first" have cos(a/2) and sin(a/2) in the places of the shears.
    * `phases` are those of `records.SharedNumbers`; in "q" they are multiplied by a row of
      `workspace` that `passes` names after the rotations.
    * The gradients of two rotations, taken after both, go to rows of `workspace` from `gradients`
      on: the sum in one row and the difference in the next. The gradient of a third rotation goes
      to two rows. Gradients of phases are added to `phase_gradients` from `group_at` on, in the
      order of the rows.

    For rotation `i` of "r", row `gradients + i` is ⟨Z⟩ before it and row `gradients + 4 + i` half
    of ⟨X⟩. Backward, z Z ψ - x X ψ is added to λ, with z in row `gradients + 8 + i` and x in row
    `gradients + 12 + i`. If the last pass includes a read-out, λ counts as 0 before it, whatever
    the memory holds.
    """

    @intrinsic
    def sweep(typingctx, kind, number, psi, data):
        signature = types.void(kind, number, psi, data)

        def codegen(context, builder, signature, args):
            kind, number, psi, _ = args
            kinds, data = fields(builder, signature.args[3], args[3])

            def place(array_type, array, position):
                return builder.gep(Lanes(context, builder, array_type, array).data, [position])

            size = data.size
            at = builder.mul(number, number.type(PASS_WIDTH))
            own = place(kinds.passes, data.passes, at)
            first, count, layer = (
                builder.load(builder.gep(own, [number.type(i)])) for i in (1, 2, 3)
            )
            of_layer = builder.mul(layer, size)
            cosines = builder.mul(of_layer, size.type(6))
            of_scaled = builder.select(data.is_scaled, size.type(3), size.type(0))
            cosines = builder.add(cosines, builder.mul(of_scaled, size))
            phases_at = builder.add(data.group_at, of_layer)
            operands = PassOperands(
                workspace=place(kinds.workspace, data.workspace, size.type(0)),
                psi=psi,
                lanes=data.lanes,
                width=data.width,
                plane=data.plane,
                rows=place(kinds.rows, data.rows, first),
                count=count,
                numbers=own,
                cosines=place(kinds.phases, data.phases, cosines),
                size=size,
                gradients=data.gradients,
                phase_gradients=place(kinds.phase_gradients, data.phase_gradients, phases_at),
            )
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
    """Build one kind of pass as a separate function; one large function would spill registers."""
    unique = builder.module.get_unique_name(f"{builder.function.name}_{name}_{backward:d}")
    function = ir.Function(builder.module, kind, unique)
    function.linkage = "internal"
    function.attributes.add("noinline")
    function.attributes.alignstack = BYTES  # else spilled vectors straddle cache lines
    inside = ir.IRBuilder(function.append_basic_block())
    operands = PassOperands(*function.args)
    if name == "first":
        FirstPassCode(inside, operands, "t", backward, 1).over_groups()
    elif name in ("T", "S"):
        TriplePassCode(inside, operands, name.lower(), backward, 1).over_groups()
    else:
        steps, planes = ("t", 1) if name == "real" else (name, 2)
        PassCode(inside, operands, steps, backward, planes).over_groups()
    inside.ret_void()
    return function


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

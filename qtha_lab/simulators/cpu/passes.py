"""Sweeps of engine `cpu` that apply gates to ψ and λ: Y-rotations and phases.

Several operations run on rows while they are in registers, because storing rows costs more.
Rotations run as three shears each, or in scaled form (see `scaled_rotations`).
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.records import PASS_WIDTH
from qtha_lab.simulators.cpu.vectors import (
    BYTES,
    FAST,
    Lanes,
    barrier,
    fields,
    fours,
    intrinsic,
    minus_times,
    over_lanes,
    plus_times,
    shuffled,
    times_plus,
)


def _rotated(builder, rows, bit, outer, inner):
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


def _rotation_gradients(builder, sums, rows, duals):
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


def _phased(builder, row, numbers, backward):
    """Compute (a + ib)·(cos - i·sin), or backward its inverse, with three products for four.

    `numbers` holds cos, sin - cos and sin + cos.
    """
    (a, b), (cos, less, more) = row, numbers
    both = builder.fmul(cos, builder.fadd(a, b, flags=FAST), flags=FAST)
    if backward:
        return minus_times(builder, both, b, more), plus_times(builder, both, a, less)
    return plus_times(builder, both, b, less), minus_times(builder, both, a, more)


def _phased_of_real(builder, a, numbers):
    """Compute a·(cos - i·sin) for real a; `numbers` as for `_phased`."""
    cos, less, _ = numbers
    real = builder.fmul(a, cos, flags=FAST)
    return real, builder.fneg(plus_times(builder, real, a, less))


def _rotated_by(builder, a, b, cos, sin):
    """Compute (a + ib)·(cos - i·sin)."""
    return times_plus(builder, a, cos, b, sin), times_plus(builder, b, cos, a, sin, minus=True)


def _phase_gradient(builder, gradient, row, dual):
    """Add Im(λ* ψ) of one row to a gradient."""
    overlap = times_plus(builder, dual[0], row[1], dual[1], row[0], minus=True)
    return builder.fadd(gradient, overlap, flags=FAST)


# Kinds of passes; the letters are steps in execution order:
#   t, s  two rotations as shears, or scaled
#   T, S  three rotations of eight rows as shears, or scaled
#   p     one phase per row, with the shared cosines of preceding scaled rotations
#   q     the same with cosines that differ between samples
#   o     one phase per row of a state that is real before it
#   r     read-out after two final rotations, which are not executed
# and "sampled", a phase that differs between samples; "real", two rotations of a real state, which
# stays real; "first", two rotations of a state that is nonzero only in the first of their four
# rows.
KINDS = (
    *("sampled", "real", "first", "T", "S", "t", "pt", "ot", "tpt"),
    *("s", "ps", "os", "qs", "sps", "sqs", "r", "pr", "or", "qr", "tpr", "spr", "sqr"),
)
SAMPLED, REAL, FIRST, THREE, THREE_SCALED, READ = map(
    KINDS.index, ("sampled", "real", "first", "T", "S", "r")
)  # READ and later kinds include a read-out
LAST_READ_ALONE = KINDS.index("qr")  # later kinds execute two rotations first
# kind with shears for every kind
UNSCALED = np.array(
    [
        *(SAMPLED, REAL, FIRST),
        *(KINDS.index(kind.translate(str.maketrans("sSq", "tTp"))) for kind in KINDS[3:]),
    ]
)


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
            operands = _PassOperands(
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
    operands = _PassOperands(*function.args)
    if name == "first":
        _First(inside, operands, "t", backward, 1).over_groups()
    elif name in ("T", "S"):
        _Three(inside, operands, name.lower(), backward, 1).over_groups()
    else:
        steps, planes = ("t", 1) if name == "real" else (name, 2)
        _Pass(inside, operands, steps, backward, planes).over_groups()
    inside.ret_void()
    return function


class _PassOperands(NamedTuple):
    """Operands of a pass function: values, and pointers to its first number in each array."""

    workspace: Any
    psi: Any
    lanes: Any
    width: Any
    plane: Any
    rows: Any
    count: Any
    numbers: Any
    cosines: Any
    size: Any
    gradients: Any
    phase_gradients: Any


class _Pass:
    """Code generator of a pass over groups of four rows.

    A pass acts on ψ and, if `backward`, on λ.
    """

    n_rotations = 2  # rotations per step

    def __init__(self, builder, operands: _PassOperands, steps: str, backward: bool, n_planes: int):
        self.builder, self.operands, self.steps = builder, operands, steps
        self.backward, self.n_planes = backward, n_planes
        self.workspace = Lanes.at(builder, operands.workspace)
        self.has_phases = bool({*"opq"} & {*steps})
        numbers = Lanes.at(builder, operands.numbers)
        word = operands.lanes.type
        self.rotations = [numbers.number(word(8 + i)) for i in range(12)]
        self.products_at = numbers.number(word(PASS_WIDTH - 2))
        self.has_dual = builder.icmp_signed("==", numbers.number(word(PASS_WIDTH - 1)), word(0))
        self.planes = [
            builder.mul(operands.plane, word(plane))
            for state in range(1 + backward)
            for plane in range(2 * state, 2 * state + n_planes)
        ]
        self.goals = self.planes[:]
        self.planes[:n_planes] = [
            builder.add(operands.psi, plane) for plane in self.planes[:n_planes]
        ]
        if not (backward and "r" in steps):
            self.goals = self.planes[:]
        self.row_gradients = [cgutils.alloca_once(builder, self.workspace.vector) for _ in range(4)]

    def over_groups(self):
        """Loop over all groups of rows."""
        word = self.operands.count.type
        n_rows = word(2**self.n_rotations)
        stop = self.builder.mul(self.operands.count, n_rows)
        with cgutils.for_range_slice(self.builder, word(0), stop, n_rows, word, inc=True) as (
            at,
            _,
        ):
            self.is_later = self.workspace.spread(self.is_later_group(at))
            self.over_rows(at)

    def is_later_group(self, at):
        """Return whether the group at `at` is not the first one."""
        return self.builder.icmp_signed("!=", at, at.type(0))

    def sum_so_far(self, place):
        """Load a running sum of `workspace`; for the first group return 0."""
        old, nothing = self.workspace.load(place), ir.Constant(self.workspace.vector, None)
        return self.builder.select(self.is_later, old, nothing)

    def over_rows(self, at):
        """Run the operations on the rows of the group at `at`.

        The first group initialises the sums of gradients and read-outs.
        """
        builder, operands, backward = self.builder, self.operands, self.backward
        rows = Lanes.at(builder, operands.rows)
        self.rows = [
            builder.gep(operands.workspace, [rows.number(builder.add(at, at.type(i)))])
            for i in range(2**self.n_rotations)
        ]
        self.cosines = [builder.gep(operands.cosines, [at])]
        for _ in range(2):  # after cos follow sin - cos and sin + cos
            self.cosines.append(builder.gep(self.cosines[-1], [operands.size]))
        for gradient in self.row_gradients if backward and self.has_phases else ():
            builder.store(self.workspace.constant(0.0), gradient)
        with over_lanes(builder, operands.width, self.workspace.vector.count) as (w, _):
            self.load(w)
            self.operate(w)
            self.store(w, 2 if self.steps == "r" else 0)  # a read-out does not change ψ
        if backward and self.has_phases:
            self.add_phase_gradients(at)

    def operate(self, w):
        steps, backward = self.steps, self.backward
        number = 0 if not backward else 2 * (len(steps) - self.has_phases)
        for step in reversed(steps) if backward else steps:
            if step in "opq":
                self.phase(w, step)
                continue
            number -= 2 * backward
            if step == "r":
                self.read(w, number)
                number += 2 * (not backward)
                continue
            if backward:
                self.add_rotation_gradients(w, number)
            bits = range(self.n_rotations)
            for bit in reversed(bits) if backward else bits:
                self.rotation(w, number + bit, scaled=step == "s")
            number += 2 * (not backward)

    def load(self, w):
        self.values = [
            [place.load(w.type(0)) for place in of_plane]
            for of_plane in self.places(w, self.planes)
        ]
        if self.steps[0] == "o" and not self.backward:
            self.values[1] = []  # the imaginary plane is 0, but its memory is uninitialised

    def store(self, w, planes):
        """Store the values of the planes from number `planes` on."""
        for places, values in zip(
            self.places(w, self.goals[planes:]), self.values[planes:], strict=True
        ):
            for place, value in zip(places, values, strict=False):
                place.store(value, w.type(0))

    def places(self, w, planes):
        builder = self.builder
        shifts = [barrier(builder, builder.add(w, plane)) for plane in planes]
        return [
            [Lanes.at(builder, builder.gep(row, [shift])) for row in self.rows] for shift in shifts
        ]

    def numbers(self, w, number, scaled):
        """Load both shears of a rotation, or -tan(a/2) and None if scaled."""
        builder = self.builder
        at, gap, sampled = self.rotations[3 * number : 3 * number + 3]
        if scaled:
            twice = builder.and_(builder.add(gap, gap), builder.not_(sampled))
            at = builder.add(at, twice)  # for angles per sample, `at` is already -tan(a/2)
        at = builder.add(at, builder.and_(w, sampled))
        return self.workspace.load(at), None if scaled else self.workspace.load(
            builder.add(at, gap)
        )

    def rotation(self, w, number, scaled):
        builder, bit = self.builder, number % self.n_rotations
        outer, inner = self.numbers(w, number, scaled)
        if self.backward:
            outer, inner = builder.fneg(outer), inner and builder.fneg(inner)
        self.values = [_rotated(builder, rows, bit, outer, inner) for rows in self.values]

    def add_rotation_gradients(self, w, number):
        """Add the gradients of two rotations before they are undone."""
        places = [self._lane_place(w, number + i) for i in range(2)]
        sums = [self.sum_so_far(place) for place in places]
        for rows, duals in zip(
            self.values[: self.n_planes], self.values[self.n_planes :], strict=True
        ):
            sums = _rotation_gradients(self.builder, sums, rows, duals)
        for sum_, place in zip(sums, places, strict=True):
            self.workspace.store(sum_, place)

    def _lane_place(self, w, row):
        lanes = self.operands.lanes
        shift = self.builder.mul(lanes, lanes.type(row))
        return self.builder.add(self.builder.add(self.operands.gradients, shift), w)

    def read(self, w, number):
        builder = self.builder
        real, imag = self.values[:2]
        weights = [times_plus(builder, a, a, b, b) for a, b in zip(real, imag, strict=True)]
        for bit in range(2):
            pairs = [(low, low | 1 << bit) for low in range(4) if not low >> bit & 1]
            (l0, h0), (l1, h1) = pairs
            straight = [
                builder.fsub(weights[low], weights[high], flags=FAST) for low, high in pairs
            ]
            crossed = [
                times_plus(builder, plane[l0], plane[h0], plane[l1], plane[h1])
                for plane in (real, imag)
            ]
            for row, more in ((number + bit, straight), (4 + number + bit, crossed)):
                place = self._lane_place(w, row)
                more = builder.fadd(*more, flags=FAST)
                self.workspace.store(builder.fadd(self.sum_so_far(place), more, flags=FAST), place)
        if self.backward:
            rows = [8 + number, 9 + number, 12 + number, 13 + number]
            z0, z1, x0, x1 = (self.workspace.load(self._lane_place(w, row)) for row in rows)
            both = builder.fadd(z0, z1, flags=FAST)
            other = builder.fsub(z1, z0, flags=FAST)
            signed = [both, other, builder.fneg(other), builder.fneg(both)]
            x0, x1 = builder.fneg(x0), builder.fneg(x1)
            has_dual = self.workspace.spread(self.has_dual)
            nothing = ir.Constant(self.workspace.vector, None)
            for plane, duals in zip(self.values[:2], self.values[2:], strict=True):
                for k in range(4):
                    duals[k] = builder.select(has_dual, duals[k], nothing)
                    dual = plus_times(builder, duals[k], signed[k], plane[k])
                    dual = plus_times(builder, dual, x0, plane[k ^ 1])
                    duals[k] = plus_times(builder, dual, x1, plane[k ^ 2])

    def phase(self, w, step):
        builder, backward = self.builder, self.backward
        product = self.workspace.load(builder.add(self.products_at, w)) if step == "q" else None
        parts = [Lanes.at(builder, barrier(builder, part)) for part in self.cosines]
        if product is not None and not backward:
            # fewer products than scaling three numbers for every row
            self.values = [
                [builder.fmul(row, product, flags=FAST) for row in rows] for rows in self.values
            ]
            product = None
        phased = [[] for _ in self.values]
        for i in range(len(self.row_gradients)):
            numbers = [part.spread(part.number(w.type(i))) for part in parts]
            if product is not None:
                numbers = [builder.fmul(number, product, flags=FAST) for number in numbers]
            if backward:
                self.add_row_gradient(i)
            self.phase_row(i, step, numbers, phased)
        self.values = phased
        if step == "o" and backward:  # real again; λ's imaginary plane is not needed
            self.values = [phased[0], [], phased[2], []]

    def add_row_gradient(self, i):
        """Add the gradient of the phase of row `i`."""
        row, dual = ([plane[i] for plane in self.values[k : k + 2]] for k in (0, 2))
        place = barrier(self.builder, self.row_gradients[i])
        gradient = _phase_gradient(self.builder, self.builder.load(place), row, dual)
        self.builder.store(gradient, place)

    def phase_row(self, i, step, numbers, phased):
        """Multiply row `i` of every state by its phase; append the results to `phased`."""
        for k in range(0, len(self.values), 2):
            if step == "o" and not self.backward:
                result = _phased_of_real(self.builder, self.values[k][i], numbers)
            else:
                row = [plane[i] for plane in self.values[k : k + 2]]
                result = _phased(self.builder, row, numbers, self.backward)
            for value, plane in zip(result, phased[k : k + 2], strict=True):
                plane.append(value)

    def add_phase_gradients(self, at):
        """Sum the lanes of the gradients of four rows, which are neighbours in execution order."""
        builder, n = self.builder, self.workspace.vector.count
        a, b, c, d = (builder.load(place) for place in self.row_gradients)

        def joined(x, y, first, second):
            halves = (shuffled(builder, x, y, fours(n, half)) for half in (first, second))
            return builder.fadd(*halves, flags=FAST)

        pairs = [joined(x, y, (0, n, 1, n + 1), (2, n + 2, 3, n + 3)) for x, y in ((a, b), (c, d))]
        sums = joined(pairs[0], pairs[1], (0, 1, n, n + 1), (2, 3, n + 2, n + 3))
        while n > 4:
            n //= 2
            halves = (shuffled(builder, sums, sums, range(k, k + n)) for k in (0, n))
            sums = builder.fadd(*halves, flags=FAST)
        Lanes.at(builder, self.operands.phase_gradients).add_numbers(sums, at)


class _First(_Pass):
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


class _Three(_Pass):
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
                place, next_place = (self._lane_place(w, row) for row in (2, 3))
                self.workspace.store(self.workspace.load(place), next_place)

    def is_later_group(self, at):
        later_plane = self.builder.icmp_signed("!=", self.of_plane, self.of_plane.type(0))
        return self.builder.or_(super().is_later_group(at), later_plane)

    def add_rotation_gradients(self, w, number):
        builder, (rows, duals) = self.builder, self.values
        places = [self._lane_place(w, number + i) for i in range(3)]
        *sums, third = (self.sum_so_far(place) for place in places)
        for low in range(4):
            high = low + 4
            third = plus_times(builder, third, duals[high], rows[low])
            third = minus_times(builder, third, duals[low], rows[high])
        for first in (0, 4):
            four = slice(first, first + 4)
            sums = _rotation_gradients(builder, sums, rows[four], duals[four])
        for sum_, place in zip((*sums, third), places, strict=True):
            self.workspace.store(sum_, place)


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
                    phased = _rotated_by(builder, rows[-1][0], rows[-1][1], cos, sin)
                    for value, p in zip(phased, places, strict=True):
                        workspace.store(value, p)
                if backward:
                    lane_place = builder.add(gradients, w)
                    gradient = _phase_gradient(builder, workspace.constant(0.0), *rows)
                    gradient = builder.fmul(gradient, sign, flags=FAST)
                    workspace.store(
                        builder.fadd(gradient, workspace.load(lane_place), flags=FAST), lane_place
                    )
            return context.get_dummy_value()

        return signature, codegen

    return sweep

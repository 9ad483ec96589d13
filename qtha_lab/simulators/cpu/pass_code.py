"""Code generators of passes: loads, steps on rows in registers as LLVM instructions, and stores."""

from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.records import PASS_WIDTH
from qtha_lab.simulators.cpu.vectors import (
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


class PassOperands(NamedTuple):
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


class PassCode:
    """Code generator of a pass over groups of four rows.

    A pass acts on ψ and, if `backward`, on λ.
    """

    n_rotations = 2  # rotations per step

    def __init__(self, builder, operands: PassOperands, steps: str, backward: bool, n_planes: int):
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
        """Return True if the group at `at` is not the first one."""
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
        """Run the steps on the rows in registers."""
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
        """Load the rows of all planes."""
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
        """Return the places of the rows in each plane."""
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
        """Apply or undo a rotation."""
        builder, bit = self.builder, number % self.n_rotations
        outer, inner = self.numbers(w, number, scaled)
        if self.backward:
            outer, inner = builder.fneg(outer), inner and builder.fneg(inner)
        self.values = [rotated(builder, rows, bit, outer, inner) for rows in self.values]

    def add_rotation_gradients(self, w, number):
        """Add the gradients of two rotations before they are undone."""
        places = [self.lane_place(w, number + i) for i in range(2)]
        sums = [self.sum_so_far(place) for place in places]
        for rows, duals in zip(
            self.values[: self.n_planes], self.values[self.n_planes :], strict=True
        ):
            sums = rotation_gradients(self.builder, sums, rows, duals)
        for sum_, place in zip(sums, places, strict=True):
            self.workspace.store(sum_, place)

    def lane_place(self, w, row):
        """Return the position of a row of sums in the workspace."""
        lanes = self.operands.lanes
        shift = self.builder.mul(lanes, lanes.type(row))
        return self.builder.add(self.builder.add(self.operands.gradients, shift), w)

    def read(self, w, number):
        """Add read-outs; backward, weight ψ into λ."""
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
                place = self.lane_place(w, row)
                more = builder.fadd(*more, flags=FAST)
                self.workspace.store(builder.fadd(self.sum_so_far(place), more, flags=FAST), place)
        if self.backward:
            rows = [8 + number, 9 + number, 12 + number, 13 + number]
            z0, z1, x0, x1 = (self.workspace.load(self.lane_place(w, row)) for row in rows)
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
        """Multiply the rows by their phases."""
        builder, backward = self.builder, self.backward
        product = self.workspace.load(builder.add(self.products_at, w)) if step == "q" else None
        parts = [Lanes.at(builder, barrier(builder, part)) for part in self.cosines]
        if product is not None and not backward:
            # fewer products than scaling three numbers for every row
            self.values = [
                [builder.fmul(row, product, flags=FAST) for row in rows] for rows in self.values
            ]
            product = None
        results = [[] for _ in self.values]
        for i in range(len(self.row_gradients)):
            numbers = [part.spread(part.number(w.type(i))) for part in parts]
            if product is not None:
                numbers = [builder.fmul(number, product, flags=FAST) for number in numbers]
            if backward:
                self.add_row_gradient(i)
            self.phase_row(i, step, numbers, results)
        self.values = results
        if step == "o" and backward:  # real again; λ's imaginary plane is not needed
            self.values = [results[0], [], results[2], []]

    def add_row_gradient(self, i):
        """Add the gradient of the phase of row `i`."""
        row, dual = ([plane[i] for plane in self.values[k : k + 2]] for k in (0, 2))
        place = barrier(self.builder, self.row_gradients[i])
        gradient = phase_gradient(self.builder, self.builder.load(place), row, dual)
        self.builder.store(gradient, place)

    def phase_row(self, i, step, numbers, results):
        """Multiply row `i` of every state by its phase; append the results to `results`."""
        for k in range(0, len(self.values), 2):
            if step == "o" and not self.backward:
                result = phased_of_real(self.builder, self.values[k][i], numbers)
            else:
                row = [plane[i] for plane in self.values[k : k + 2]]
                result = phased(self.builder, row, numbers, self.backward)
            for value, plane in zip(result, results[k : k + 2], strict=True):
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

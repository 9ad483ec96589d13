"""Code generators of the first pass, and of passes of three rotations."""

from numba.core import cgutils

from qtha_lab.simulators.cpu.pass_code import PassCode
from qtha_lab.simulators.cpu.row_arithmetic import rotation_gradients
from qtha_lab.simulators.cpu.vectors import FAST, minus_times, over_lanes, plus_times, times_plus


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

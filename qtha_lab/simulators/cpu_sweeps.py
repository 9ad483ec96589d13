"""The innermost sweeps of engine `cpu`, written in LLVM's vectors.

Each is one function of numba's that goes over all lanes of a few rows. Plain loops would leave the
vectors to chance: LLVM gives up where more than a few rows might overlap.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

VERSION = 1  # raise with every change here: cpu_kernel's cache on disk depends on it
BYTES = 64  # of one vector; LLVM splits it where the machine has shorter ones
_FAST = ("fast",)


class _Lanes:
    """Vectors of one array inside a sweep: load, store and arithmetic."""

    def __init__(self, context, builder, array_type, array):
        self.builder = builder
        self.data = arrayobj.make_array(array_type)(context, builder, array).data
        self.size = 4 if array_type.dtype == types.float32 else 8
        self.vector = ir.VectorType(context.get_data_type(array_type.dtype), BYTES // self.size)

    def _pointer(self, position):
        place = self.builder.gep(self.data, [position])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, position):
        return self.builder.load(self._pointer(position), align=self.size)

    def store(self, value, position):
        self.builder.store(value, self._pointer(position), align=self.size)

    def spread(self, number):
        """The same number in every lane."""
        none = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(none, number, ir.IntType(32)(0))
        lanes = ir.Constant(
            ir.VectorType(ir.IntType(32), self.vector.count), [0] * self.vector.count
        )
        return self.builder.shuffle_vector(one, none, lanes)

    def total(self, vector):
        """The sum over the lanes of one vector."""
        scalar = self.vector.element
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(scalar, [scalar, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(scalar, 0.0), vector], fastmath=_FAST)


def _times_plus(builder, a, b, c, d, minus=False):
    """a·b + c·d, or a·b - c·d."""
    left = builder.fmul(a, b, flags=_FAST)
    right = builder.fmul(c, d, flags=_FAST)
    return (builder.fsub if minus else builder.fadd)(left, right, flags=_FAST)


def _turned(builder, rows, turns):
    """Apply turns to 2^k row vectors; bit t of a row's number is its side of turn t."""
    rows = list(rows)
    for bit, (cos, sin) in enumerate(turns):
        for low in range(len(rows)):
            if not low >> bit & 1:
                high = low | 1 << bit
                a, b = rows[low], rows[high]
                rows[low] = _times_plus(builder, cos, a, sin, b, minus=True)
                rows[high] = _times_plus(builder, sin, a, cos, b)
    return rows


def _slope(builder, slope, rows, duals, bit):
    """Add Σ (λ_high ψ_low - λ_low ψ_high) over the pairs of one turn."""
    for low in range(len(rows)):
        if not low >> bit & 1:
            high = low | 1 << bit
            pair = _times_plus(builder, duals[high], rows[low], duals[low], rows[high], minus=True)
            slope = builder.fadd(slope, pair, flags=_FAST)
    return slope


def _over_lanes(builder, lanes, width):
    """A loop over the positions 0, width, 2·width, … below `lanes`."""
    kind = lanes.type
    return cgutils.for_range_slice(builder, kind(0), lanes, kind(width), kind, inc=True)


def make_turns(n_turns: int, sampled: bool, backward: bool):
    """A sweep of `n_turns` turns over 2^n_turns rows of ψ.

    `f(state, lanes, positions, numbers, angles, offset, slopes)`: `positions` of the rows;
    `numbers` are cosines and sines in turn, or if `sampled` their positions in `angles`. Backward,
    the turns are undone on ψ and on λ, `offset` further on, and their slopes are added to `slopes`.
    """

    @intrinsic
    def sweep(typingctx, state, lanes, positions, numbers, angles, offset, slopes):
        signature = types.void(state, lanes, positions, numbers, angles, offset, slopes)

        def codegen(context, builder, signature, args):
            kinds = signature.args
            psi = _Lanes(context, builder, kinds[0], args[0])
            places = cgutils.unpack_tuple(builder, args[2], 2**n_turns)
            given = cgutils.unpack_tuple(builder, args[3], 2 * n_turns)
            table = _Lanes(context, builder, kinds[4], args[4])
            found = _Lanes(context, builder, kinds[6], args[6])
            if not sampled:
                given = [psi.spread(number) for number in given]
            with _over_lanes(builder, args[1], psi.vector.count) as (at, _):

                def here(position):
                    return builder.add(position, at)

                values = [table.load(here(p)) for p in given] if sampled else given
                turns = list(zip(values[::2], values[1::2], strict=True))
                rows = [psi.load(here(place)) for place in places]
                if backward:
                    others = [builder.add(here(place), args[5]) for place in places]
                    duals = [psi.load(place) for place in others]
                    for bit in range(n_turns):
                        place = here(builder.mul(args[1], args[1].type(bit)))
                        slope = _slope(builder, found.load(place), rows, duals, bit)
                        found.store(slope, place)
                    turns = [(cos, builder.fneg(sin)) for cos, sin in turns]
                    for value, place in zip(_turned(builder, duals, turns), others, strict=True):
                        psi.store(value, place)
                for value, place in zip(_turned(builder, rows, turns), places, strict=True):
                    psi.store(value, here(place))
            return context.get_dummy_value()

        return signature, codegen

    return sweep


def make_phase(sampled: bool, backward: bool):
    """A sweep that multiplies one row of ψ by cos - i·sin.

    `f(state, lanes, real, imag, cos, sin, angles, offset)`: cos and sin as in `make_turns`. Backward
    it is undone on ψ and λ, and Im(λ* ψ) summed over the lanes is returned (0 forward).
    """

    @intrinsic
    def sweep(typingctx, state, lanes, real, imag, cos, sin, sign, angles, offset, slopes):
        signature = state.dtype(state, lanes, real, imag, cos, sin, sign, angles, offset, slopes)

        def codegen(context, builder, signature, args):
            kinds = signature.args
            psi = _Lanes(context, builder, kinds[0], args[0])
            table = _Lanes(context, builder, kinds[7], args[7])
            found = _Lanes(context, builder, kinds[9], args[9])
            sign = psi.spread(args[6])
            numbers = args[4:6] if sampled else [psi.spread(args[4]), psi.spread(args[5])]
            zero = ir.Constant(psi.vector, None)
            total = cgutils.alloca_once_value(builder, zero)
            with _over_lanes(builder, args[1], psi.vector.count) as (at, _):
                cos, sin = numbers
                if sampled:
                    cos, sin = (table.load(builder.add(place, at)) for place in numbers)
                sin = builder.fmul(sin, sign, flags=_FAST)
                if backward:
                    sin = builder.fneg(sin)
                pairs = []
                for shift in (None, args[8])[: 2 if backward else 1]:
                    places = [builder.add(place, at) for place in args[2:4]]
                    if shift is not None:
                        places = [builder.add(place, shift) for place in places]
                    a, b = (psi.load(place) for place in places)
                    pairs.append((a, b))
                    psi.store(_times_plus(builder, a, cos, b, sin), places[0])
                    psi.store(_times_plus(builder, b, cos, a, sin, minus=True), places[1])
                if backward:
                    (a, b), (c, d) = pairs
                    overlap = _times_plus(builder, c, b, d, a, minus=True)
                    if sampled:
                        overlap = builder.fmul(overlap, sign, flags=_FAST)
                        overlap = builder.fadd(overlap, found.load(at), flags=_FAST)
                        found.store(overlap, at)
                    else:
                        sum_ = builder.fadd(builder.load(total), overlap, flags=_FAST)
                        builder.store(sum_, total)
            return psi.total(builder.load(total))

        return signature, codegen

    return sweep

"""Arithmetic on LLVM's vectors, of which the sweeps of engine `cpu` are written.

A sweep is one function of numba's that goes over all lanes of a few rows. Plain loops would leave
the vectors to chance: LLVM gives up where more than a few rows might overlap.
"""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from llvmlite import ir
from numba import extending
from numba.core import cgutils
from numba.np import arrayobj

BYTES = 64  # of one vector; LLVM splits it where the machine has shorter ones
FAST = ("fast",)
Arguments = ParamSpec("Arguments")


def intrinsic(function: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
    """`numba.extending.intrinsic`, typed as kernels call it: without the typing context."""
    kernel: Any = extending.intrinsic(function)
    return kernel


class Lanes:
    """Vectors of one array inside a sweep: load, store and arithmetic."""

    def __init__(self, context, builder, array_type, array):
        self._begin(builder, arrayobj.make_array(array_type)(context, builder, array).data)

    def _begin(self, builder, data):
        self.builder, self.data = builder, data
        kind = data.type.pointee
        self.size = 4 if isinstance(kind, ir.FloatType) else 8
        self.vector = ir.VectorType(kind, BYTES // self.size)

    @classmethod
    def at(cls, builder, data):
        """Of the numbers that a pointer is the place of."""
        lanes = cls.__new__(cls)
        lanes._begin(builder, data)
        return lanes

    def _pointer(self, position):
        place = self.builder.gep(self.data, [position])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, position):
        """The vector that begins at a position."""
        return self.builder.load(self._pointer(position), align=self.size)

    def store(self, value, position):
        """Write a vector from a position on."""
        self.builder.store(value, self._pointer(position), align=self.size)

    def number(self, position):
        """One number, not a vector."""
        return self.builder.load(self.builder.gep(self.data, [position]))

    def add_numbers(self, values, position):
        """Add a short vector to numbers from a position on, which are of a wider type if need be."""
        place = self.builder.gep(self.data, [position])
        kind = ir.VectorType(place.type.pointee, values.type.count)
        place = self.builder.bitcast(place, kind.as_pointer())
        if values.type != kind:
            values = self.builder.fpext(values, kind)
        old = self.builder.load(place, align=self.size)
        self.builder.store(self.builder.fadd(old, values), place, align=self.size)

    def spread(self, number):
        """The same number, of any type, in every lane."""
        none = ir.Constant(ir.VectorType(number.type, self.vector.count), ir.Undefined)
        one = self.builder.insert_element(none, number, ir.IntType(32)(0))
        lanes = ir.Constant(
            ir.VectorType(ir.IntType(32), self.vector.count), [0] * self.vector.count
        )
        return self.builder.shuffle_vector(one, none, lanes)

    def constant(self, number):
        """A number known now in every lane."""
        return ir.Constant(self.vector, [number] * self.vector.count)

    def call(self, name, *vectors):
        """One of LLVM's functions of vectors, such as "fma", which rounds once."""
        name = f"llvm.{name}.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * len(vectors))
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, vectors)

    def any(self, flags):
        """Whether any of a vector's flags is set."""
        name = f"llvm.vector.reduce.or.v{self.vector.count}i1"
        flag = ir.IntType(1)
        kind = ir.FunctionType(flag, [ir.VectorType(flag, self.vector.count)])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [flags])

    def total(self, vector):
        """The sum over the lanes of one vector."""
        scalar = self.vector.element
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(scalar, [scalar, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(scalar, 0.0), vector], fastmath=FAST)


def shuffled(builder, a, b, lanes):
    """Some lanes of two vectors, those of the second counted on from those of the first."""
    lanes = list(lanes)
    kind = ir.VectorType(ir.IntType(32), len(lanes))
    return builder.shuffle_vector(a, b, ir.Constant(kind, lanes))


def fours(count, lanes):
    """The same shuffle within every four lanes of two vectors of `count`, which machines do at once."""
    return [four + lane for four in range(0, count, 4) for lane in lanes]


def plus_times(builder, a, b, c):
    """a + b·c."""
    return builder.fadd(a, builder.fmul(b, c, flags=FAST), flags=FAST)


def minus_times(builder, a, b, c):
    """a - b·c."""
    return builder.fsub(a, builder.fmul(b, c, flags=FAST), flags=FAST)


def times_plus(builder, a, b, c, d, minus=False):
    """a·b + c·d, or a·b - c·d."""
    left = builder.fmul(a, b, flags=FAST)
    right = builder.fmul(c, d, flags=FAST)
    return (builder.fsub if minus else builder.fadd)(left, right, flags=FAST)


def hidden(builder, value):
    """The same value, of which the compiler knows nothing more: nothing that is made of it leaves a loop."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def over_lanes(builder, lanes, width):
    """A loop over the positions 0, width, 2·width, … below `lanes`."""
    kind = lanes.type
    return cgutils.for_range_slice(builder, kind(0), lanes, kind(width), kind, inc=True)

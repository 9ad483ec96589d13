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
        self.builder = builder
        self.data = arrayobj.make_array(array_type)(context, builder, array).data
        self.size = array_type.dtype.bitwidth // 8
        self.vector = ir.VectorType(context.get_data_type(array_type.dtype), BYTES // self.size)

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

    def add_number(self, value, position):
        """Add to one number, of a wider type if need be."""
        place = self.builder.gep(self.data, [position])
        old = self.builder.load(place)
        if value.type != old.type:
            value = self.builder.fpext(value, old.type)
        self.builder.store(self.builder.fadd(old, value), place)

    def spread(self, number):
        """The same number in every lane."""
        none = ir.Constant(self.vector, ir.Undefined)
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

    def total(self, vector):
        """The sum over the lanes of one vector."""
        scalar = self.vector.element
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(scalar, [scalar, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(scalar, 0.0), vector], fastmath=FAST)


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


def over_lanes(builder, lanes, width):
    """A loop over the positions 0, width, 2·width, … below `lanes`."""
    kind = lanes.type
    return cgutils.for_range_slice(builder, kind(0), lanes, kind(width), kind, inc=True)

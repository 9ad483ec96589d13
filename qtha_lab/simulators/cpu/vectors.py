"""Arithmetic on LLVM vectors, array views, and elementary row operations of engine `cpu`.

A row operation (fill, copy, square, multiply, transform) sweeps over all lanes of a few rows.
"""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from llvmlite import ir
from numba import extending, types
from numba.core import cgutils
from numba.np import arrayobj

BYTES = 64  # length of one vector; LLVM splits it on machines with shorter vectors
FAST = ("fast",)
Arguments = ParamSpec("Arguments")


def intrinsic(function: Callable[Concatenate[Any, Arguments], Any]) -> Callable[Arguments, Any]:
    """Apply `numba.extending.intrinsic`, typed for calls without the typing context."""
    kernel: Any = extending.intrinsic(function)
    return kernel


def fields(builder, kind, value):
    """Return the numba types and LLVM values of a record as two records."""
    record = kind.instance_class
    return record(*kind), record(*cgutils.unpack_tuple(builder, value, len(kind)))


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
        """Create the vectors of the array at a pointer."""
        lanes = cls.__new__(cls)
        lanes._begin(builder, data)
        return lanes

    def _pointer(self, position):
        place = self.builder.gep(self.data, [position])
        return self.builder.bitcast(place, self.vector.as_pointer())

    def load(self, position):
        """Load the vector that begins at a position."""
        return self.builder.load(self._pointer(position), align=self.size)

    def store(self, value, position):
        """Store a vector at a position."""
        self.builder.store(value, self._pointer(position), align=self.size)

    def number(self, position):
        """Load a single number."""
        return self.builder.load(self.builder.gep(self.data, [position]))

    def add_numbers(self, values, position):
        """Add a short vector to numbers at a position, in their wider type."""
        place = self.builder.gep(self.data, [position])
        kind = ir.VectorType(place.type.pointee, values.type.count)
        place = self.builder.bitcast(place, kind.as_pointer())
        if values.type != kind:
            values = self.builder.fpext(values, kind)
        old = self.builder.load(place, align=self.size)
        self.builder.store(self.builder.fadd(old, values), place, align=self.size)

    def spread(self, number):
        """Broadcast a number of any type to every lane."""
        none = ir.Constant(ir.VectorType(number.type, self.vector.count), ir.Undefined)
        one = self.builder.insert_element(none, number, ir.IntType(32)(0))
        lanes = ir.Constant(
            ir.VectorType(ir.IntType(32), self.vector.count), [0] * self.vector.count
        )
        return self.builder.shuffle_vector(one, none, lanes)

    def constant(self, number):
        """Return a compile-time constant in every lane."""
        return ir.Constant(self.vector, [number] * self.vector.count)

    def call(self, name, *vectors):
        """Call an LLVM vector function, such as "fma", which rounds once."""
        name = f"llvm.{name}.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(self.vector, [self.vector] * len(vectors))
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, vectors)

    def any(self, flags):
        """Return True if any flag of a vector is set."""
        name = f"llvm.vector.reduce.or.v{self.vector.count}i1"
        flag = ir.IntType(1)
        kind = ir.FunctionType(flag, [ir.VectorType(flag, self.vector.count)])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [flags])

    def total(self, vector):
        """Sum the lanes of one vector."""
        scalar = self.vector.element
        name = f"llvm.vector.reduce.fadd.v{self.vector.count}f{8 * self.size}"
        kind = ir.FunctionType(scalar, [scalar, self.vector])
        reduce = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(reduce, [ir.Constant(scalar, 0.0), vector], fastmath=FAST)


def shuffled(builder, a, b, lanes):
    """Select lanes of two vectors; indices of the second follow those of the first."""
    lanes = list(lanes)
    kind = ir.VectorType(ir.IntType(32), len(lanes))
    return builder.shuffle_vector(a, b, ir.Constant(kind, lanes))


def fours(count, lanes):
    """Return the indices of one shuffle repeated in every four lanes of vectors of `count`.

    Processors execute such a shuffle in one instruction.
    """
    return [four + lane for four in range(0, count, 4) for lane in lanes]


def plus_times(builder, a, b, c):
    """Compute a + b·c."""
    return builder.fadd(a, builder.fmul(b, c, flags=FAST), flags=FAST)


def minus_times(builder, a, b, c):
    """Compute a - b·c."""
    return builder.fsub(a, builder.fmul(b, c, flags=FAST), flags=FAST)


def times_plus(builder, a, b, c, d, minus=False):
    """Compute a·b + c·d, or with `minus` a·b - c·d."""
    left = builder.fmul(a, b, flags=FAST)
    right = builder.fmul(c, d, flags=FAST)
    return (builder.fsub if minus else builder.fadd)(left, right, flags=FAST)


def barrier(builder, value):
    """Return the value through an optimisation barrier, so no computation with it leaves a loop."""
    kind = ir.FunctionType(value.type, [value.type])
    return builder.asm(kind, "", "=r,0", [value], side_effect=False)


def over_lanes(builder, lanes, width):
    """Loop over the positions 0, width, 2·width, … below `lanes`."""
    kind = lanes.type
    return cgutils.for_range_slice(builder, kind(0), lanes, kind(width), kind, inc=True)


@intrinsic
def numbers_at(typingctx, like, address, shape):
    """Return the contiguous array at an address, with the dtype of another array."""

    def codegen(context, builder, signature, args):
        pointer = context.get_data_type(like.dtype).as_pointer()
        data = builder.inttoptr(args[1], pointer)
        return _array(context, builder, signature.return_type, data, args[2])

    return _kind(like, shape)(like, address, shape), codegen


@intrinsic
def part(typingctx, array, position, shape):
    """Return a view of an array from a position on, in another shape."""

    def codegen(context, builder, signature, args):
        data = arrayobj.make_array(array)(context, builder, args[0]).data
        data = builder.gep(data, [args[1]])
        return _array(context, builder, signature.return_type, data, args[2])

    return _kind(array, shape)(array, position, shape), codegen


@intrinsic
def distance(typingctx, array, other, position):
    """Return the offset of `other[position]` from `array[0]`, in numbers; it may be negative."""
    signature = types.int64(array, other, types.int64)

    def codegen(context, builder, signature, args):
        word = ir.IntType(64)
        first, place = (
            arrayobj.make_array(kind)(context, builder, value).data
            for kind, value in zip((array, other), args[:2], strict=True)
        )
        place = builder.ptrtoint(builder.gep(place, [args[2]]), word)
        size = context.get_abi_sizeof(context.get_data_type(array.dtype))
        return builder.sdiv(builder.sub(place, builder.ptrtoint(first, word)), word(size))

    return signature, codegen


def _kind(like, shape):
    return types.Array(like.dtype, len(shape), "C")


def _array(context, builder, kind, data, shape):
    size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    shape = cgutils.unpack_tuple(builder, shape)
    strides = [ir.IntType(64)(size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    array = arrayobj.make_array(kind)(context, builder)
    arrayobj.populate_array(
        array, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None
    )
    return array._getvalue()


def make_butterfly(n_wires: int):
    """Build a sweep that Walsh-Hadamard transforms 2^n_wires rows, `steps` apart, in place."""

    @intrinsic
    def sweep(typingctx, workspace, at, steps, lanes):
        signature = types.void(workspace, at, steps, lanes)

        def codegen(context, builder, signature, args):
            workspace = Lanes(context, builder, signature.args[0], args[0])
            rows = [args[1]]
            for step in cgutils.unpack_tuple(builder, args[2], n_wires):
                rows += [builder.add(row, step) for row in rows]
            with over_lanes(builder, args[3], workspace.vector.count) as (w, _):
                places = [builder.add(row, w) for row in rows]
                values = [workspace.load(place) for place in places]
                for bit in range(n_wires):
                    for low in range(len(rows)):
                        if not low >> bit & 1:
                            high = low | 1 << bit
                            a, b = values[low], values[high]
                            values[low] = builder.fadd(a, b, flags=FAST)
                            values[high] = builder.fsub(a, b, flags=FAST)
                for value, place in zip(values, places, strict=True):
                    workspace.store(value, place)
            return context.get_dummy_value()

        return signature, codegen

    return sweep


@intrinsic
def fill(typingctx, target, at, number, lanes):
    """Fill a row: target[at + w] = number for every lane w."""
    signature = types.void(target, at, target.dtype, lanes)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        value = goal.spread(args[2])
        with over_lanes(builder, args[3], goal.vector.count) as (w, _):
            goal.store(value, builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def copy(typingctx, target, at, source, start, count):
    """Copy a row: target[at + w] = source[start + w] for `count` numbers."""
    signature = types.void(target, at, source, start, count)

    def codegen(context, builder, signature, args):
        goal = Lanes(context, builder, signature.args[0], args[0])
        source = Lanes(context, builder, signature.args[2], args[2])
        with over_lanes(builder, args[4], goal.vector.count) as (w, _):
            goal.store(source.load(builder.add(args[3], w)), builder.add(args[1], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def squares(typingctx, workspace, real, imag, to, lanes):
    """Compute |ψ|² of a row from its real and its imaginary plane."""
    signature = types.void(workspace, real, imag, to, lanes)

    def codegen(context, builder, signature, args):
        psi = Lanes(context, builder, signature.args[0], args[0])
        with over_lanes(builder, args[4], psi.vector.count) as (w, _):
            a, b = (psi.load(builder.add(place, w)) for place in args[1:3])
            psi.store(times_plus(builder, a, a, b, b), builder.add(args[3], w))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def times_gradient(typingctx, workspace, real, imag, dual, lanes):
    """Compute λ = g ψ for one row; λ's real row holds g.

    λ lies `dual` numbers after ψ.
    """
    signature = types.void(workspace, real, imag, dual, lanes)

    def codegen(context, builder, signature, args):
        rows = Lanes(context, builder, signature.args[0], args[0])
        _, real, imag, dual, lanes = args
        with over_lanes(builder, lanes, rows.vector.count) as (w, _):
            real, imag = builder.add(real, w), builder.add(imag, w)
            weight = rows.load(builder.add(real, dual))
            for place in (real, imag):
                value = builder.fmul(rows.load(place), weight, flags=FAST)
                rows.store(value, builder.add(place, dual))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def take_next(typingctx, counters, which):
    """Return counters[which] and increment it atomically."""
    signature = types.int64(counters, types.int64)

    def codegen(context, builder, signature, args):
        data = arrayobj.make_array(signature.args[0])(context, builder, args[0]).data
        place = builder.gep(data, [args[1]])
        return builder.atomic_rmw("add", place, ir.Constant(ir.IntType(64), 1), "monotonic")

    return signature, codegen


@intrinsic
def is_odd(typingctx, bits):
    """Return True if an odd number of bits of an integer are set."""
    signature = types.boolean(bits)

    def codegen(context, builder, signature, args):
        return builder.trunc(builder.ctpop(args[0]), ir.IntType(1))

    return signature, codegen

"""Array views in compiled code, on the memory of a tensor or of another array.

In Python, such a view of a tensor costs a microsecond. No references are counted: the caller must
keep the memory alive.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.np import arrayobj

from qtha_lab.simulators.cpu.vectors import intrinsic


@intrinsic
def numbers_at(typingctx, like, address, shape):
    """Return the contiguous array at an address, with the dtype of another array.

    Args:
        typingctx: Typing context of numba.
        like: Array with the dtype.
        address: Address, as `Tensor.data_ptr` returns it.
        shape: Shape of the result, a tuple.
    """

    def codegen(context, builder, signature, args):
        pointer = context.get_data_type(like.dtype).as_pointer()
        data = builder.inttoptr(args[1], pointer)
        return _array(context, builder, signature.return_type, data, args[2])

    return _kind(like, shape)(like, address, shape), codegen


@intrinsic
def part(typingctx, array, position, shape):
    """Return a view of an array from a position on, in another shape.

    Args:
        typingctx: Typing context of numba.
        array: Contiguous array.
        position: Flat position of the first number.
        shape: Shape of the view, a tuple.
    """

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

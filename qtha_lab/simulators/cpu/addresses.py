"""Numbers of torch's as arrays inside of compiled code: an array that Python makes of a tensor takes a microsecond."""

from typing import Any

from numba.core import types
from numba.np.numpy_support import carray as _carray

from qtha_lab.simulators.cpu.compiled import compiled
from qtha_lab.simulators.cpu.vectors import intrinsic

carray: Any = _carray  # which the compiler knows, and types only there


@intrinsic
def _pointer(typingctx, like, address):
    pointer = types.CPointer(like.dtype)

    def codegen(context, builder, signature, args):
        return builder.inttoptr(args[1], context.get_value_type(pointer))

    return pointer(like, address), codegen


@compiled
def numbers_at(like, address, shape):
    """The numbers at an address, one after another, of the dtype of an array.

    Args:
        like: The array.
        address: As `Tensor.data_ptr` gives it; who calls sees to it that the numbers stay there.
        shape: Of the numbers.
    """
    return carray(_pointer(like, address), shape)

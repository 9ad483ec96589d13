"""The threads of engine `cpu`: the team of OpenMP that torch's own operations run on.

After an operation the team's threads keep their cores busy for milliseconds, waiting for the next. Threads of
another pool would wait for these cores; as the next piece of work of the same team a kernel begins at once.
"""

import ctypes
import functools
import os
import threading
from pathlib import Path

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.simulators.cpu.vectors import intrinsic


@functools.cache
def addresses() -> tuple[int, int]:
    """Of OpenMP's GOMP_parallel and omp_get_thread_num as torch uses them; zeros where it has another team.

    Source:
        GNU libgomp manual, "Implementing PARALLEL construct"; LLVM's runtime has both functions too.
    """
    library = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:
        functions = ctypes.CDLL(str(library))  # its names lead to the libraries it was linked to
        pair = functions.GOMP_parallel, functions.omp_get_thread_num
    except (OSError, AttributeError):
        return 0, 0
    start, number = (ctypes.cast(function, ctypes.c_void_p).value or 0 for function in pair)
    return start, number


class _Forks:
    """Whether this process is the child of one that had a team: it has the team's memory, not its threads."""

    def __init__(self) -> None:
        self.had_team = self.lost_team = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._look, after_in_child=self._note)

    def _look(self) -> None:
        """A team's threads have the name of the process; helpers of libraries that see to forks do not."""
        try:
            names = [file.read_text() for file in Path("/proc/self/task").glob("*/comm")]
            here = names.count(Path("/proc/self/comm").read_text())
        except OSError:  # a thread has just ended
            here = 0
        self.had_team = not 0 < here <= threading.active_count()

    def _note(self) -> None:
        self.lost_team = self.lost_team or self.had_team


_forks = _Forks()


def available() -> bool:
    """Whether work can be handed to torch's team in this process."""
    return bool(addresses()[0]) and not _forks.lost_team


@intrinsic
def run_in_team(typingctx, function, start, threads, operands):
    """Have every thread of a team call `function(*operands)`, this one included, and wait for all.

    What the function returns or raises is lost.

    Args:
        typingctx: numba's.
        function: Compiled by numba.
        start: Address of GOMP_parallel.
        threads: Of the team.
        operands: A tuple.
    """
    signature = types.void(function, start, threads, operands)
    call = function.get_call_type(typingctx, operands.types, {})

    def codegen(context, builder, signature, args):
        overload = function.dispatcher.overloads[call.args]
        context.active_code_library.add_linking_library(overload.library)
        packed = cgutils.alloca_once_value(builder, args[3])
        address = ir.IntType(8).as_pointer()
        member = ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [address]),
            builder.module.get_unique_name(f"{builder.function.name}_member"),
        )  # fmt: skip
        member.linkage = "internal"
        inside = ir.IRBuilder(member.append_basic_block())
        values = inside.load(inside.bitcast(member.args[0], packed.type))
        context.call_internal_no_propagate(
            inside, overload.fndesc, call, cgutils.unpack_tuple(inside, values)
        )
        inside.ret_void()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [member.type, address, word, word])
        parallel = builder.inttoptr(args[1], kind.as_pointer())
        count = builder.trunc(args[2], word)
        builder.call(parallel, [member, builder.bitcast(packed, address), count, word(0)])
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def thread_number(typingctx, function):
    """The number of this thread in its team; `function` is the address of omp_get_thread_num."""
    signature = types.int64(function)

    def codegen(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        number = builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])
        return builder.sext(number, ir.IntType(64))

    return signature, codegen

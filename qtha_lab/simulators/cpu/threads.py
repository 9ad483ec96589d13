"""The threads of engine `cpu`: the team of OpenMP that torch's own operations run on.

After an operation the team's threads keep their cores busy for a while, waiting for the next. Threads of another
pool have to be woken, and wait for these cores; as the next piece of work of the same team a kernel begins at once.
"""

import ctypes
import functools
import logging
import os
import threading
from pathlib import Path

import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.core.io import read
from qtha_lab.simulators.cpu.vectors import intrinsic

NOWHERE = (0, 0)  # for addresses
log = logging.getLogger(__name__)


def addresses() -> tuple[int, int]:
    """Of what hands work to torch's team in this process and of what tells its threads apart.

    `NOWHERE` where torch has no team, or a fork has lost it.
    """
    return NOWHERE if _forks.lost_team else _addresses()


@functools.cache
def _addresses() -> tuple[int, int]:
    """Of GOMP_parallel, as torch calls it, and of omp_get_thread_num; `NOWHERE` where torch has another team.

    Source:
        GNU libgomp manual, "Implementing PARALLEL construct"; LLVM's runtime has this function too.
    """
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:  # the library's names lead to those that it was linked to
        library = ctypes.CDLL(str(path))
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError) as reason:  # not Linux, or a torch without OpenMP
        log.debug("torch's team is not found, threads of our own are used: %s", reason)
        return NOWHERE
    parallel, number = (ctypes.cast(each, ctypes.c_void_p).value or 0 for each in functions)
    return parallel, number


class _Forks:
    """Whether this process is the child of one that had a team: it has the team's memory, not its threads."""

    def __init__(self) -> None:
        self.had_team = self.lost_team = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._look, after_in_child=self._note)

    def _look(self) -> None:
        """A team's threads have the name of the process; helpers of libraries that see to forks do not."""
        try:
            names = [read(file, 4096) for file in Path("/proc/self/task").glob("*/comm")]
            here = names.count(read(Path("/proc/self/comm"), 4096))
        except OSError as reason:  # a thread has just ended
            log.debug("a fork is taken for one that loses torch's team: %s", reason)
            here = 0
        self.had_team = not 0 < here <= threading.active_count()

    def _note(self) -> None:
        self.lost_team = self.lost_team or self.had_team


_forks = _Forks()


@intrinsic
def run_in_team(typingctx, function, team, threads, operands):
    """Have every thread of a team call `function(its number, *operands)`, this one included, and wait for all.

    A thread has the same number in every call; this one has 0. What the function returns or raises is lost.

    Args:
        typingctx: numba's.
        function: Compiled by numba.
        team: As from `addresses`.
        threads: Of the team.
        operands: A tuple.
    """
    signature = types.void(function, team, threads, operands)
    call = function.get_call_type(typingctx, (types.int64, *operands.types), {})

    def codegen(context, builder, signature, args):
        overload = function.dispatcher.overloads[call.args]
        context.active_code_library.add_linking_library(overload.library)
        start, which = cgutils.unpack_tuple(builder, args[1])
        packed = cgutils.alloca_once_value(builder, cgutils.pack_struct(builder, [which, args[3]]))
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        member = ir.Function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer]),
            builder.module.get_unique_name(f"{builder.function.name}_member"),
        )  # fmt: skip
        member.linkage = "internal"
        inside = ir.IRBuilder(member.append_basic_block())
        which, values = cgutils.unpack_tuple(
            inside, inside.load(inside.bitcast(member.args[0], packed.type))
        )
        asked = inside.inttoptr(which, ir.FunctionType(word, []).as_pointer())
        number = inside.sext(inside.call(asked, []), ir.IntType(64))
        context.call_internal_no_propagate(
            inside, overload.fndesc, call, (number, *cgutils.unpack_tuple(inside, values))
        )
        inside.ret_void()
        kind = ir.FunctionType(ir.VoidType(), [member.type, pointer, word, word])
        parallel = builder.inttoptr(start, kind.as_pointer())
        count = builder.trunc(args[2], word)
        builder.call(parallel, [member, builder.bitcast(packed, pointer), count, word(0)])
        return context.get_dummy_value()

    return signature, codegen

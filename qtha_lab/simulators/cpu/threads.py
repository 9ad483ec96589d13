"""Threads of engine `cpu`: the OpenMP team of torch's own operations.

After an operation the team's threads spin on their cores for a while. Threads of another pool have
to wake up and compete for these cores. A kernel on the same team starts at once.
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

NO_TEAM = (0, 0)  # addresses without a team
log = logging.getLogger(__name__)


def addresses() -> tuple[int, int]:
    """Return the addresses of the OpenMP functions of torch's thread team.

    One runs work on the team, the other numbers its threads. The result is `NO_TEAM` if torch has
    no team, or if a fork has lost it.
    """
    return NO_TEAM if _forks.lost_team else _addresses()


@functools.cache
def _addresses() -> tuple[int, int]:
    """Return the addresses of GOMP_parallel and omp_get_thread_num, or `NO_TEAM` without them.

    Source:
        GNU libgomp manual, "Implementing PARALLEL construct"; LLVM's runtime has this function too.
    """
    path = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    try:  # a lookup in this library also finds the OpenMP runtime that it is linked to
        library = ctypes.CDLL(str(path))
        functions = library.GOMP_parallel, library.omp_get_thread_num
    except (OSError, AttributeError) as reason:  # not Linux, or a torch without OpenMP
        log.debug("torch's team is not found, threads of our own are used: %s", reason)
        return NO_TEAM
    parallel, number = (ctypes.cast(each, ctypes.c_void_p).value or 0 for each in functions)
    return parallel, number


class _Forks:
    """Record of whether a fork has lost torch's thread team.

    A child of a process with a team inherits the team's memory, but not its threads.
    """

    def __init__(self) -> None:
        self.had_team = self.lost_team = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(before=self._look, after_in_child=self._note)

    def _look(self) -> None:
        """Detect a team before a fork, from threads with the process's name.

        Helper threads of libraries that handle forks have other names.
        """
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
    """Call `function(thread number, *operands)` on every thread of a team, and wait for all.

    A thread has the same number in every call; the calling thread has number 0. Results and
    exceptions of the function are dropped.

    Args:
        typingctx: Typing context of numba.
        function: Function compiled by numba.
        team: Addresses by `addresses`.
        threads: Number of threads.
        operands: Operands after the thread number, a tuple.
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
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer]),
            builder.module.get_unique_name(f"{builder.function.name}_member"),
        )
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

"""Operations per sample, blocks of samples, and threads of a batch.

Threads are the OpenMP team of torch's own operations. After an operation the team's threads spin on
their cores for a while. Threads of another pool have to wake up and compete for these cores. A
kernel on the same team starts at once.
"""

import ctypes
import functools
import logging
import math
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from llvmlite import ir
from numba import types
from numba.core import cgutils

from qtha_lab.core.io import read
from qtha_lab.simulators.cpu.pass_list import FIRST, KINDS, REAL, SAMPLED, THREE, THREE_SCALED, Pass
from qtha_lab.simulators.cpu.plan import KernelPlan
from qtha_lab.simulators.cpu.vectors import BYTES, intrinsic

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


def count_operations(plan: KernelPlan, backward: bool, itemsize: int) -> tuple[float, float]:
    """Return the operations, and the bytes loaded and stored, per sample.

    * First rotations are products: two per row; backward one per row, and per row of both states a
      multiply-add, minus one addition in four.
    * A rotation costs 3 multiply-adds per pair of numbers of a state, or 2 if scaled. The state is
      real at first.
    * A phase costs 6 operations per row, 3 for a real row and 4 for its inverse to a real row.
      Scaling factors per sample cost 3 more.
    * Backward, both are undone on two states. Their gradients cost 2 multiply-adds per pair and per
      row more.
    * A read-out after a rotation costs 3 operations per row, as |ψ|² does, and backward 4 more of
      each.
    """
    size = 2**plan.n_qubits
    # |ψ|², or λ = g ψ
    flops = moved = 0.0 if plan.passes.final_rotations else 3.0 * size
    if plan.reads_strings and not plan.passes.final_rotations:
        flops, moved = flops + plan.n_qubits * size, moved + plan.n_qubits * size
    for each in plan.passes.passes:
        of_pass = _count_pass(each, size, backward)
        flops, moved = flops + of_pass[0], moved + of_pass[1]
    return flops, moved * itemsize


def _count_pass(each: Pass, size: int, backward: bool) -> tuple[float, float]:
    """Return the operations of a pass, and the numbers loaded and stored."""
    is_three = each.kind in (THREE, THREE_SCALED)
    rows = size if each.kind == SAMPLED else (8 if is_three else 4) * each.second
    if each.kind == FIRST:
        return (8.5 if backward else 2) * rows, (2.5 if backward else 1.25) * rows
    steps, planes = KINDS[each.kind].lower(), 2
    if each.kind == SAMPLED:
        steps = "p"
    elif each.kind == REAL:
        steps, planes = "t", 1
    groups = iter((each.rotations,) if is_three else (each.rotations[:2], each.rotations[2:]))
    flops = 0.0
    for step in steps:
        if step in "opq":
            flops += _count_phases(step, rows, backward)
        else:
            flops += _count_rotations(step, rows, planes, sum(map(bool, next(groups))), backward)
    moved = planes * (4 if backward else 2) * rows - 2 * rows * (steps == "r")
    return flops, moved - (2 if backward else 1) * rows * ("o" in steps)


def _count_phases(step: str, rows: int, backward: bool) -> float:
    flops = (2 * 6 + 4 if backward else 6) * rows + 3 * rows * (step == "q")
    return flops - (2 * 2 if backward else 3) * rows * (step == "o")


def _count_rotations(step: str, rows: int, planes: int, n_rotations: int, backward: bool) -> float:
    if step == "r":
        return (7 + 7 * n_rotations if backward else 3 + 3 * n_rotations) * rows
    adds = 3 if step == "t" else 2
    return planes * (2 * adds + 2 if backward else adds) * n_rotations * rows


GROUPS = 32  # most groups of blocks; fixed, so that sums do not depend on the number of threads
NEAR_BYTES = 2**20  # a core's own cache; half is for ψ and λ of a block
CACHE_BYTES = 2**22  # share of the last-level cache, for circuits whose rows exceed the core's own
MOST_LANES = 208  # samples per block, an odd number of vectors
BLOCKS = 4  # least number of blocks, for as many cores, if each has enough work for a thread
FEWEST_VECTORS = 2  # per row, unless two threads could then not share the batch
SAVED_BYTES = 2**24  # final states saved between forward and backward; others are recomputed
TEAM_FLOPS = 1e6  # operations that justify one more of torch's threads: some 14 µs of one
POOL_FLOPS = 2e7  # the same for our own threads, which have to wake up first


class BlockLayout(NamedTuple):
    """Blocks of a batch, and the sizes of the arrays of a call.

    Attributes:
        dtype: float32 or float64.
        kind: The same for numpy.
        operands: First fields of `records.Operands`, up to the number of read-out values.
        n_groups: Number of groups of blocks.
        n_numbers: Count of numbers that all samples share.
        n_sums: Length of the accumulator of gradients.
        n_saved: Count of numbers of final states that can be saved.
        of_inputs: Shape of the data.
        of_values: Shape of the values.
        workspace_size: Numbers of a thread's workspace.
        flops_forward: Operations of the forward pass.
        flops_backward: Operations of the backward pass.
        no_states: Empty array for a call without saved states.
        no_sums: Empty array for a call without gradients.
    """

    dtype: torch.dtype
    kind: np.dtype
    operands: tuple[Any, ...]
    n_groups: int
    n_numbers: int
    n_sums: int
    n_saved: int
    of_inputs: tuple[int, int]
    of_values: tuple[int, int]
    workspace_size: int
    flops_forward: float
    flops_backward: float
    no_states: np.ndarray
    no_sums: np.ndarray

    def threads(self, flops: float) -> tuple[int, tuple[int, int]]:
        """Return the number of threads for `flops` operations and the addresses of their team.

        The addresses are `NO_TEAM` for one thread or without a team.
        """
        if flops < 2 * TEAM_FLOPS or (most := torch.get_num_threads()) == 1:
            return 1, NO_TEAM
        team = addresses()
        worth = int(flops / (POOL_FLOPS if team == NO_TEAM else TEAM_FLOPS))
        return max(1, min(most, worth, self.n_groups)), team


@functools.lru_cache(maxsize=1024)
def block_layout(plan: KernelPlan, batch: int, dtype: torch.dtype) -> BlockLayout:
    """Return the cached layout of a batch."""
    itemsize = dtype.itemsize
    kind = np.dtype(f"f{itemsize}")
    flops = [batch * count_operations(plan, back, itemsize)[0] for back in (False, True)]
    lanes = lanes_of(plan.n_qubits, batch, itemsize, max(flops))
    n_blocks = -(-batch // lanes)
    n_groups = min(GROUPS, n_blocks)
    of_block = 2 * (2**plan.n_qubits + 1 + plan.n_terms) * lanes
    sizes = lanes, n_groups, batch, plan.n_inputs, plan.n_values
    return BlockLayout(
        dtype=dtype,
        kind=kind,
        operands=(*plan.tables(lanes, itemsize), *sizes),
        n_groups=n_groups,
        n_numbers=plan.n_numbers,
        n_sums=n_groups * (plan.n_sums + 1 + plan.n_layers * 2**plan.n_qubits),
        n_saved=min(SAVED_BYTES // (of_block * itemsize), n_blocks) * of_block,
        of_inputs=(batch, plan.n_inputs),
        of_values=(batch, plan.n_values),
        workspace_size=plan.places(lanes, itemsize).end,
        flops_forward=flops[0],
        flops_backward=flops[1],
        no_states=np.empty(0, kind),
        no_sums=np.empty(0),
    )


def lanes_of(n_qubits: int, batch: int, itemsize: int, flops: float = math.inf) -> int:
    """Return the samples per block, a multiple of the vector length.

    A block's ψ and λ fit in the cache, and there are blocks for all cores.

    Returns:
        A multiple of the numbers in a vector; it may exceed the batch.

    Example:
        >>> lanes_of(4, 10_000, 4), lanes_of(4, 10_000, 8)
        (208, 208)
        >>> lanes_of(8, 64, 4), lanes_of(8, 32, 4), lanes_of(4, 64, 4, flops=1e6)
        (32, 16, 64)
    """
    vector = BYTES // itemsize
    of_vector = 4 * 2**n_qubits * BYTES
    fitting = max(NEAR_BYTES // (2 * of_vector), FEWEST_VECTORS)
    if fitting * of_vector > NEAR_BYTES:
        fitting = CACHE_BYTES // of_vector
    elif (fitting + 1) * of_vector <= NEAR_BYTES:
        fitting |= 1  # an odd row stride in cache lines uses all sets of the cache
    blocks = max(1, min(BLOCKS, flops // TEAM_FLOPS))
    halves = math.ceil(batch / (2 * vector))
    shared_out = max(math.ceil(batch / (blocks * vector)), min(FEWEST_VECTORS, halves))
    return vector * max(1, min(fitting, MOST_LANES // vector, shared_out))

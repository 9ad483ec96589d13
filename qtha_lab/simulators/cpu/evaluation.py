"""Reusable memory of engine `cpu`, since first access to fresh memory is slow."""

import collections
import concurrent.futures
import ctypes
import functools
import os
import sys
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qtha_lab.simulators.cpu import angles, kernel
from qtha_lab.simulators.cpu.layout import NO_TEAM, block_layout
from qtha_lab.simulators.cpu.plan import KernelPlan

SPARE_BYTES = 2**26  # most bytes of spare buffers held between calls
MOST_WORKSPACES = 256  # most cached views of a thread's workspace


_spare: collections.deque[np.ndarray] = collections.deque()


def take_buffer(count: int, dtype: torch.dtype) -> np.ndarray:
    """Return an uninitialised buffer, from the spare ones or newly allocated.

    It holds states between forward and backward pass.
    """
    for _ in range(len(_spare)):
        try:
            memory = _spare.popleft()
        except IndexError:  # another thread has taken the last one
            break
        if memory.itemsize == dtype.itemsize and len(memory) >= count:
            return memory
        return_buffer(memory)
    return torch.empty(count, dtype=dtype).numpy()  # torch aligns memory to a vector


def return_buffer(memory: np.ndarray) -> None:
    """Return a buffer that is no longer in use, for a later call."""
    held = sum(spare.nbytes for spare in (*_spare,)) if _spare else 0
    if 0 < memory.nbytes <= SPARE_BYTES - held:
        _spare.append(memory)


class _OfThread(threading.local):
    def __init__(self):
        self.memory: dict[torch.dtype, np.ndarray] = {}
        self.workspaces: dict[tuple[torch.dtype, int, int], np.ndarray] = {}  # views of `memory`


_of_this_thread = _OfThread()


def reserve_workspaces(threads: int, size: int, dtype: torch.dtype) -> np.ndarray:
    """Return scratch memory for threads, (threads, size), cached by the calling thread."""
    kept, count = _of_this_thread, threads * size
    found = kept.workspaces.get((dtype, threads, size))
    if found is not None:
        return found
    if count > len(kept.memory.get(dtype, ())):
        kept.memory[dtype] = torch.empty(count, dtype=dtype).numpy()
        kept.workspaces.clear()
    if len(kept.workspaces) >= MOST_WORKSPACES:
        kept.workspaces.clear()
    found = kept.memory[dtype][:count].reshape(threads, size)
    kept.workspaces[dtype, threads, size] = found
    return found


class EngineCall:
    """One evaluation: its layout of blocks, and the saved final states.

    Args:
        plan: Tables of the circuit.
        inputs: The data, (batch, n_inputs).
        saves: Whether a backward pass follows, so that states are saved.
    """

    __slots__ = ("layout", "numbers", "plan", "states")

    def __init__(self, plan: KernelPlan, inputs: Tensor, saves: bool):
        self.plan = plan
        self.layout = layout = block_layout(plan, inputs.shape[0], inputs.dtype)
        self.states = take_buffer(layout.n_saved, layout.dtype) if saves else layout.no_states

    def __del__(self, is_finalizing=sys.is_finalizing):
        states = getattr(self, "states", None)  # missing if the allocation failed
        if states is not None and not is_finalizing():  # at exit the module may be gone
            return_buffer(states)

    def forward(self, inputs: Tensor, params: Tensor, numbers: np.ndarray | None = None) -> Tensor:
        """Run the forward pass; return the values, (batch, readout size).

        Args:
            inputs: The data.
            params: (n_params,), of the same dtype.
            numbers: Result of `shared_numbers` for these params; None computes them.
        """
        layout, inputs = self.layout, _contiguous(inputs)
        threads, addresses = layout.threads(layout.flops_forward)
        is_pooled = threads > 1 and addresses == NO_TEAM
        if is_pooled and numbers is None:
            numbers = shared_numbers(self.plan, params)
        is_given = numbers is not None
        self.numbers = numbers if is_given else np.empty(layout.n_numbers, layout.kind)
        values = np.empty(layout.of_values, layout.kind)
        workspaces = reserve_workspaces(threads, layout.workspace_size, layout.dtype)
        data = inputs.data_ptr(), 0, False
        operands = (
            *(*layout.operands, *data, self.numbers, values),
            *(self.states, layout.no_sums, workspaces),
        )
        if is_pooled:
            _run_in_pool(operands, threads)
        elif is_given:
            kernel.evaluate_blocks(threads, addresses, operands)
        else:
            params = _contiguous(params)
            kernel.forward(threads, addresses, params.data_ptr(), operands)
        return torch.from_numpy(values)

    def backward(self, inputs: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
        """Run the backward pass; return the gradients of inputs and params."""
        layout, inputs, grad = self.layout, _contiguous(inputs), _contiguous(grad)
        threads, addresses = layout.threads(layout.flops_backward)
        of_inputs = np.empty(layout.of_inputs, layout.kind)
        of_params = np.empty(self.plan.n_params, layout.kind)
        workspaces = reserve_workspaces(threads, layout.workspace_size, layout.dtype)
        data = inputs.data_ptr(), grad.data_ptr(), True
        operands = (
            *(*layout.operands, *data, self.numbers, of_inputs),
            *(self.states, np.zeros(layout.n_sums), workspaces),
        )
        if threads > 1 and addresses == NO_TEAM:
            _run_in_pool(operands, threads)
            kernel.gradients_of_params(of_params, operands)
        else:
            kernel.backward(threads, addresses, of_params, operands)
        return torch.from_numpy(of_inputs), torch.from_numpy(of_params)


def shared_numbers(plan: KernelPlan, params: Tensor) -> np.ndarray:
    """Compute the numbers that all samples share, (n_numbers,), split by `angles.parts`."""
    return _numbers(plan, *copied_bytes(params))


def _contiguous(tensor: Tensor) -> Tensor:
    """Return a contiguous tensor without lazy negation, for access by address."""
    if tensor.is_contiguous() and not tensor.is_neg():
        return tensor
    return tensor.resolve_neg().contiguous()


def copied_bytes(params: Tensor) -> tuple[bytes, torch.dtype]:
    """Copy params to bytes, because sharded training frees their memory."""
    if not params.is_contiguous() or params.is_neg():
        params = params.resolve_neg().contiguous()
    return ctypes.string_at(params.data_ptr(), params.nbytes), params.dtype


def _numbers(plan: KernelPlan, params: bytes, dtype: torch.dtype) -> np.ndarray:
    kind = np.float32 if dtype is torch.float32 else np.float64
    numbers, size = np.empty(plan.n_numbers, kind), 2**plan.n_qubits
    tables = tuple(plan.shared_tables)
    angles.shared_numbers(np.frombuffer(params, kind), tables, size, numbers)
    return numbers


# Generation runs a circuit for every token with equal angles. The cached arrays are read-only by
# use.
cached_numbers = functools.lru_cache(maxsize=256)(_numbers)


def _run_in_pool(operands: tuple[Any, ...], n_threads: int) -> None:
    """Run `kernel.run_blocks` on several threads, this one included."""
    counters = np.zeros(n_threads, np.int64)

    def share(number: int) -> None:
        kernel.run_blocks(number, counters, operands)

    helping = [_pool(os.getpid()).submit(share, number) for number in range(1, n_threads)]
    share(0)
    for helper in helping:
        if not helper.cancel():  # a helper that has not started has no work left
            helper.result()


@functools.lru_cache(maxsize=1)
def _pool(process: int) -> concurrent.futures.ThreadPoolExecutor:
    """Return helper threads for a torch without an OpenMP team, one pool per process.

    `process` is the process id: a forked process inherits no threads and needs a new pool.
    """
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="qtha-cpu")

"""Reusable memory of engine `cpu`, since first access to fresh memory is slow."""

import collections
import threading

import numpy as np
import torch

SPARE_BYTES = 2**26  # most bytes of spare buffers held between calls
MOST_WORKSPACES = 256  # most cached views of a thread's workspace


_spare: collections.deque[np.ndarray] = collections.deque()


def take(count: int, dtype: torch.dtype) -> np.ndarray:
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
        give_back(memory)
    return torch.empty(count, dtype=dtype).numpy()  # torch aligns memory to a vector


def give_back(memory: np.ndarray) -> None:
    """Return a buffer that is no longer in use, for a later call."""
    held = sum(spare.nbytes for spare in (*_spare,)) if _spare else 0
    if 0 < memory.nbytes <= SPARE_BYTES - held:
        _spare.append(memory)


class _OfThread(threading.local):
    def __init__(self):
        self.memory: dict[torch.dtype, np.ndarray] = {}
        self.workspaces: dict[tuple[torch.dtype, int, int], np.ndarray] = {}  # views of `memory`


_of_this_thread = _OfThread()


def workspaces(threads: int, size: int, dtype: torch.dtype) -> np.ndarray:
    """Return scratch memory for threads, (threads, size), cached by the calling thread.

    Args:
        threads: Number of threads.
        size: Numbers per thread.
        dtype: Dtype of the numbers.
    """
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

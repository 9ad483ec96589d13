"""Memory of engine `cpu` that is used again: where it is fresh, the first touch is as dear as the use."""

import collections
import sys
import threading

import numpy as np
import torch

SMALL_BYTES = 2**17  # of states, which the allocator of memory has at hand
SPARE_BYTES = 2**26  # for others, held between calls
MOST_ROOMS = 256  # ways to cut up what a thread works in, looked up again


def states(count: int, dtype: torch.dtype) -> tuple[np.ndarray, object]:
    """Numbers from a forward to a backward pass, of any value, and what is to be held as long as they are used.

    Args:
        count: How many.
        dtype: float32 or float64.
    """
    kind = np.float32 if dtype is torch.float32 else np.float64
    if count * dtype.itemsize < SMALL_BYTES:
        return np.empty(count, kind), None
    held = _Held(count, dtype)
    return held.memory[:count], held


class _Held:
    """Memory that is given back when it is forgotten."""

    def __init__(self, count: int, dtype: torch.dtype):
        self.memory = _take(count, dtype)

    def __del__(self, is_finalizing=sys.is_finalizing):
        if not is_finalizing():  # else nothing is left to give it back to
            _give_back(self.memory)


_spare: collections.deque[np.ndarray] = collections.deque()


def _take(count: int, dtype: torch.dtype) -> np.ndarray:
    for _ in range(len(_spare)):
        try:
            memory = _spare.popleft()
        except IndexError:  # another thread was quicker
            break
        if memory.itemsize == dtype.itemsize and len(memory) >= count:
            return memory
        _give_back(memory)
    return torch.empty(count, dtype=dtype).numpy()  # at the place of a vector


def _give_back(memory: np.ndarray) -> None:
    if 0 < memory.nbytes <= SPARE_BYTES - sum(spare.nbytes for spare in (*_spare,)):
        _spare.append(memory)


class _OfThread(threading.local):
    def __init__(self):
        self.memory: dict[torch.dtype, np.ndarray] = {}
        self.rooms: dict[tuple[torch.dtype, int, int], np.ndarray] = {}  # of it


_of_this_thread = _OfThread()


def rooms(threads: int, size: int, dtype: torch.dtype) -> np.ndarray:
    """Numbers for threads to work in, (threads, size), kept by the one that calls.

    Args:
        threads: How many.
        size: Numbers of each.
        dtype: Of the numbers.
    """
    kept, count = _of_this_thread, threads * size
    found = kept.rooms.get((dtype, threads, size))
    if found is not None:
        return found
    if count > len(kept.memory.get(dtype, ())):
        kept.memory[dtype] = torch.empty(count, dtype=dtype).numpy()
        kept.rooms.clear()
    if len(kept.rooms) >= MOST_ROOMS:
        kept.rooms.clear()
    found = kept.memory[dtype][:count].reshape(threads, size)
    kept.rooms[dtype, threads, size] = found
    return found

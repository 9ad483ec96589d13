"""Memory of engine `cpu` that is used again: where it is fresh, the first touch is as dear as the use."""

import collections
import threading

import numpy as np
import torch

SPARE_BYTES = 2**26  # for others, held between calls
MOST_WORKSPACES = 256  # ways to cut up what a thread works in, looked up again


_spare: collections.deque[np.ndarray] = collections.deque()


def take(count: int, dtype: torch.dtype) -> np.ndarray:
    """Numbers from a forward to a backward pass, as many or more, of any value.

    Args:
        count: How many.
        dtype: float32 or float64.
    """
    for _ in range(len(_spare)):
        try:
            memory = _spare.popleft()
        except IndexError:  # another thread was quicker
            break
        if memory.itemsize == dtype.itemsize and len(memory) >= count:
            return memory
        give_back(memory)
    return torch.empty(count, dtype=dtype).numpy()  # at the place of a vector


def give_back(memory: np.ndarray) -> None:
    """Keep memory that nobody uses any more for the next call.

    Args:
        memory: As from `take`.
    """
    held = sum(spare.nbytes for spare in (*_spare,)) if _spare else 0
    if 0 < memory.nbytes <= SPARE_BYTES - held:
        _spare.append(memory)


class _OfThread(threading.local):
    def __init__(self):
        self.memory: dict[torch.dtype, np.ndarray] = {}
        self.workspaces: dict[tuple[torch.dtype, int, int], np.ndarray] = {}  # of it


_of_this_thread = _OfThread()


def workspaces(threads: int, size: int, dtype: torch.dtype) -> np.ndarray:
    """Numbers for threads to work in, (threads, size), kept by the one that calls.

    Args:
        threads: How many.
        size: Numbers of each.
        dtype: Of the numbers.
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

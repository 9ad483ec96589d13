"""Size of the largest array inside a function, for torch and NumPy."""

import copy
import tracemalloc
from collections.abc import Callable

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BYTES = 8  # bytes of an entry in float64
SMALL = 20_000  # entries of memory that a call of a small function needs anyway


class _Sizes(TorchDispatchMode):
    """Dispatch mode that records the entries of the largest tensor of any operation."""

    largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = (leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor))
        self.largest = max(self.largest, *sizes, 0)
        return result


def largest_array(function: Callable, *arguments: torch.Tensor) -> int:
    """Return the entries of the largest tensor of a call, or of NumPy's peak memory.

    Example:
        >>> column = torch.ones(50, 1, dtype=torch.float64)
        >>> largest_array(lambda c: c @ c.T, column), largest_array(lambda c: c.T @ c, column)
        (2500, 50)
    """
    with _Sizes():  # imports, which would be traced slowly and counted
        function(*copy.deepcopy(arguments))
    arguments = copy.deepcopy(arguments)  # the function may modify its arguments
    tracemalloc.start()
    try:
        with _Sizes() as sizes:
            function(*arguments)
        peak = tracemalloc.get_traced_memory()[1] // BYTES
    finally:
        tracemalloc.stop()
    return max(sizes.largest, peak if peak > SMALL else 0)

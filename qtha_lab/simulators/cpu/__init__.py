"""Engine `cpu`: numba kernels that process blocks of samples in each core's cache."""

import functools
import importlib
import importlib.util

from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import registry


@registry.engine(
    "cpu", strength="the fastest on CPU tensors", auto=1, place=2, cpu_tensors_only=True
)
def load() -> registry.Engine:
    """Return the engine with compiled kernels.

    Raises:
        Refusal: If the kernels do not run on this machine.
    """
    if fault := _fault():
        raise Refusal(fault)
    from qtha_lab.simulators.cpu import engine

    return engine


@functools.cache
def _fault() -> str:
    """Run the kernels once; return the reason of a failure, or an empty string."""
    if importlib.util.find_spec("numba") is None:
        return (
            "Engine 'cpu' must have numba, got none. Run pip install numba, or use engine='torch'."
        )
    try:
        importlib.import_module("qtha_lab.simulators.cpu.engine").try_out()
    except Exception as fault:  # the compiler and its libraries may raise any exception
        message = " ".join(str(fault).split())
        return (
            "Engine 'cpu' must compile here, got an error of numba "
            f"({type(fault).__name__}: {message:.200}). Use engine='torch' or 'auto'."
        )
    return ""

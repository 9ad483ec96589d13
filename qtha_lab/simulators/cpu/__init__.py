"""Engine `cpu`: numba kernels that process blocks of samples in each core's cache."""

import importlib.util

from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import registry
from qtha_lab.simulators.engine_selection import compiler_refusal


@registry.engine(
    "cpu", strength="the fastest on CPU tensors", auto=1, place=2, cpu_tensors_only=True
)
def load() -> registry.Engine:
    """Return the engine; its kernels are compiled when it checks its first circuit.

    Raises:
        Refusal: If numba is missing or broken.
    """
    if importlib.util.find_spec("numba") is None:
        raise Refusal(
            "Engine 'cpu' cannot be used: numba is missing. Run pip install numba, or use "
            "engine='torch'."
        )
    try:
        from qtha_lab.simulators.cpu import engine
    except Exception as fault:  # the compiler and its libraries may raise any exception
        raise Refusal(compiler_refusal(fault)) from fault
    return engine

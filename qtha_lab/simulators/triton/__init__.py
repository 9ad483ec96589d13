"""Engine `triton`: one fused kernel for CUDA tensors, with the states in registers."""

import importlib.util
import os

from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import registry

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"  # interpreter on CPU tensors, for tests


@registry.engine(
    "triton",
    strength="a fused kernel for CUDA tensors",
    auto=1,
    place=4,
    cuda_tensors_only=not INTERPRETED,
    follows_tensors=True,
    listed=False,
)
def load() -> registry.Engine:
    """Return the engine.

    Raises:
        Refusal: If Triton is not installed.
    """
    if importlib.util.find_spec("triton") is None:
        raise Refusal(
            "Engine 'triton' cannot be used without Triton, which comes with torch for CUDA. "
            "Run pip install triton, or use engine='torch'."
        )
    from qtha_lab.simulators.triton import engine

    return engine

"""Register of amplitudes on the host and in a Lightning simulator, synchronised on demand.

Calls the state vectors of `pennylane_lightning` directly: a gate is one call of a few microseconds,
whereas a PennyLane tape takes longer to build than to run.
"""

import functools
import importlib
import importlib.util
import logging
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from qtha_lab.core.errors import Refusal

log = logging.getLogger(__name__)

GateCall = tuple[str, list[int], tuple[float, ...]]  # Lightning's name, wires, angles
BACKENDS = {
    "lightning": "qubit",
    "lightning.qubit": "qubit",
    "lightning.kokkos": "kokkos",
    "lightning.gpu": "gpu",
}


@functools.cache
def load(engine: str) -> ModuleType:
    """Import the compiled Lightning module of an engine.

    Raises:
        Refusal: If the module is not installed (the message names the pip package) or does not
            start.
    """
    backend = BACKENDS[engine]
    name = f"pennylane_lightning.lightning_{backend}_ops"
    package = "pennylane-lightning" + ("" if backend == "qubit" else f"-{backend}")
    if not _installed(name):
        raise Refusal(f"Engine {engine!r} must be installed. Run pip install {package}.")
    try:
        module = importlib.import_module(name)
        module.StateVectorC64(1)
        log.debug("%s starts", name)
    except Exception as reason:  # no driver, no GPU, a wrong library: exceptions of any type
        raise Refusal(f"Engine {engine!r} must start on this machine, got: {reason}") from reason
    return module


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # the parent package is missing too
        return False


class Register:
    """Register of 2^n_wires amplitudes; axis 0 of a shape starts with the first wire.

    Example:
        >>> register = Register("lightning", 2, torch.float32)
        >>> _ = register.change(4).copy_(torch.tensor([1, 0, 0, 0]))
        >>> register.apply([("PauliX", [0], ())])
        >>> register.look(4).real
        tensor([0., 0., 1., 0.])
    """

    def __init__(self, engine: str, n_wires: int, dtype: torch.dtype):
        module = load(engine)
        single = dtype == torch.float32
        self._inside = (module.StateVectorC64 if single else module.StateVectorC128)(n_wires)
        self._array = np.empty(2**n_wires, np.complex64 if single else np.complex128)
        self._host = torch.from_numpy(self._array)
        self._host_is_new = self._inside_is_new = True
        self._copies = _copies(self._inside)

    def look(self, *shape: int) -> Tensor:
        """Return the amplitudes for reading, valid until the next gate."""
        if not self._host_is_new:
            self._copies[1](self._array)
            self._host_is_new = True
        return self._host.view(shape)

    def change(self, *shape: int) -> Tensor:
        """Return the amplitudes for writing, valid until the next gate."""
        self._inside_is_new = False
        return self.look(*shape)

    def apply(self, gates: list[GateCall], inverse: bool = False) -> None:
        """Run gates in Lightning, or their inverses from the last to the first."""
        if not gates:
            return
        if not self._inside_is_new:
            self._copies[0](self._array)
            self._inside_is_new = True
        self._host_is_new = False
        for name, wires, angles in reversed(gates) if inverse else gates:
            getattr(self._inside, name)(wires, inverse, angles)


def _copies(inside) -> tuple:
    """Return the functions that copy amplitudes in and out; each Lightning has its own names."""
    if hasattr(inside, "getState"):
        return inside.updateData, inside.getState
    if hasattr(inside, "updateData"):  # lightning.gpu: the second argument is `async`
        return lambda a: inside.HostToDevice(a, False), lambda a: inside.DeviceToHost(a, False)
    return inside.HostToDevice, inside.DeviceToHost

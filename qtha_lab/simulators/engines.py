"""Which engines there are, and which of them `"auto"` means, and why.

An engine is one module, imported when first used, with
`check(circuit, readout, name)`, which refuses in one sentence (ValueError) what the engine cannot do,
`run(circuit, inputs, params, readout, name)` for inputs (batch, n_inputs) of float32 or float64
(unit vectors if the circuit starts in amplitudes), giving (batch, readout size),
`broadcasts(name)`, whether a batch goes through together, and
`working_bytes(circuit, batch, name)`, what it needs beside what autograd keeps.
"""

import functools
import importlib
import importlib.util
from types import ModuleType

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.settings import unknown

_MODULES = {
    "torch": "torch_engine",
    "cpu": "cpu_engine",
    "lightning": "lightning_engine",
    "lightning.qubit": "lightning_engine",
    "lightning.kokkos": "lightning_engine",
    "lightning.gpu": "lightning_engine",
    "device": "device_engine",
}
_DEVICE_EXAMPLES = ("device:default.qubit", "device:lightning.qubit")


def engine_names() -> list[str]:
    """Engines to choose from; any other PennyLane device can be named after `device:`."""
    return ["auto", "torch", "cpu", "lightning", *_DEVICE_EXAMPLES]


def engine_module(engine: str) -> ModuleType:
    """The module that runs an engine (not "auto").

    Raises:
        ValueError: If there is no such engine, with the nearest name.
    """
    family = str(engine).partition(":")[0]
    plain = ":" not in str(engine)
    if family not in _MODULES or plain == (family == "device"):
        raise unknown("engine", str(engine), engine_names())
    if family == "cpu" and not _has_numba():
        raise ValueError("engine 'cpu' needs numba, which is not installed: pip install numba")
    return importlib.import_module(f"qtha_lab.simulators.{_MODULES[family]}")


def check_engine(engine: str, circuit: Circuit, readout: Readout | None = None) -> None:
    """Refuse an engine that is unknown, not installed, or cannot run the circuit.

    Raises:
        ValueError: With one sentence.
    """
    if engine != "auto":
        readout = readout or Readout.z(circuit.n_qubits)
        engine_module(engine).check(circuit, readout, engine)


def choose(engine: str, circuit: Circuit, readout: Readout, device: str, transformed: bool) -> str:
    """What "auto" means: `cpu` for CPU tensors where it can, else `torch`.

    Args:
        engine: As asked for; anything but "auto" is kept.
        circuit: What is to be run.
        readout: What is to be read.
        device: The type of the tensors' device, such as "cpu" or "cuda".
        transformed: Whether torch.func is at work, which only `torch` supports.
    """
    if engine != "auto":
        return engine
    return "torch" if device != "cpu" or transformed or _refusal("cpu", circuit, readout) else "cpu"


@functools.lru_cache(maxsize=256)
def _refusal(engine: str, circuit: Circuit, readout: Readout) -> str:
    """Why an engine cannot run a circuit, empty if it can."""
    try:
        check_engine(engine, circuit, readout)
    except ValueError as reason:
        return str(reason)
    return ""


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None

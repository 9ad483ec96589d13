"""Which engines there are, and which of them `"auto"` means.

An engine is one module, imported when first used, with
`check(circuit, name)`, which refuses in one sentence what the engine cannot do,
`run(circuit, inputs, params, name)` for inputs (batch, n_inputs) of float32 or float64,
`broadcasts(name)`, whether a batch goes through together, and
`working_bytes(circuit, batch, name)`, what it needs beside what autograd keeps.
"""

import functools
import importlib
import importlib.util
from types import ModuleType

from qtha_lab.circuits import Circuit
from qtha_lab.settings import unknown

_MODULES = {"torch": "torch_engine", "cpu": "cpu_engine", "device": "device_engine"}
MAX_CPU_QUBITS = 20
_DEVICE_EXAMPLES = ("device:default.qubit", "device:lightning.qubit")


def engine_names() -> list[str]:
    """Engines to choose from; any other PennyLane device can be named after `device:`."""
    return ["auto", "torch", "cpu", *_DEVICE_EXAMPLES]


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


def check_engine(engine: str, circuit: Circuit) -> None:
    """Refuse an engine that is unknown, not installed, or cannot run the circuit.

    Raises:
        ValueError: With one sentence.
    """
    if engine != "auto":
        engine_module(engine).check(circuit, engine)


def choose(engine: str, circuit: Circuit, on_cpu: bool, transformed: bool) -> str:
    """What "auto" means: `cpu` for CPU tensors when numba is there, else `torch`.

    Args:
        engine: As asked for; anything but "auto" is kept.
        circuit: What is to be run.
        on_cpu: Whether the tensors are on the CPU.
        transformed: Whether torch.func is at work, which only `torch` supports.
    """
    if engine != "auto":
        return engine
    fits = on_cpu and not transformed and circuit.n_qubits <= MAX_CPU_QUBITS
    return "cpu" if fits and _has_numba() else "torch"


@functools.cache
def _has_numba() -> bool:
    return importlib.util.find_spec("numba") is not None

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
from collections.abc import Callable
from types import ModuleType

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.errors import Refusal
from qtha_lab.settings import unknown
from qtha_lab.simulators.memory import check_memory

_MODULES = {
    "torch": "torch_engine",
    "cpu": "cpu.engine",
    "lightning": "lightning.engine",
    "lightning.qubit": "lightning.engine",
    "lightning.kokkos": "lightning.engine",
    "lightning.gpu": "lightning.engine",
    "device": "device.engine",
}
# What "auto" tries, in this order. On one core, CPU time, forward and backward of the QTHA ansatz with one
# layer at 2 to 18 qubits and 1, 4 and 16 samples: torch takes 1.4 to 9 times as long as cpu, except for a
# single sample of 16 qubits or more, where it takes 0.8 to 1 times as long; so cpu wherever it can.
AUTO = ("cpu", "torch", "lightning")
_DEVICE_EXAMPLES = ("device:default.qubit", "device:lightning.qubit")


def engine_names() -> list[str]:
    """Engines to choose from; any PennyLane device can be named, as `device:NAME(option=value,…)`."""
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
    if family == "cpu" and (fault := _cpu_fault()):
        raise Refusal(f"engine 'cpu' {fault}; 'auto' takes engine 'torch' instead")
    return importlib.import_module(f"qtha_lab.simulators.{_MODULES[family]}")


def check_engine(engine: str, circuit: Circuit, readout: Readout | None = None) -> None:
    """Refuse an engine that is unknown, not installed, or cannot run the circuit.

    Raises:
        ValueError: With one sentence.
    """
    readout = readout or Readout.z(circuit.n_qubits)
    if engine != "auto":
        return check_call(engine, circuit, readout)
    sentences = {name: _sentence(_check_circuit, name, circuit, readout) for name in AUTO}
    if all(sentences.values()):
        raise Refusal(sentences["torch"])


def check_call(
    engine: str,
    circuit: Circuit,
    readout: Readout,
    device: str = "cpu",
    transformed: bool = False,
    batch: int = 1,
) -> None:
    """Refuse a batch that an engine (not "auto") cannot run; arguments as for `choose`.

    Raises:
        ValueError: With one sentence.
    """
    if transformed and engine != "torch":
        raise Refusal(f"engine {engine!r} does not work under torch.func: use engine='torch'")
    if engine == "cpu" and device != "cpu":
        raise Refusal(f"engine 'cpu' takes CPU tensors, not {device}: use engine='torch'")
    _check_circuit(engine, circuit, readout)
    needed = engine_module(engine).working_bytes(circuit, max(batch, 1), engine)
    where = device if engine == "torch" else "cpu"
    check_memory(engine, circuit.n_qubits, batch, needed, where)


@functools.lru_cache(maxsize=256)
def _check_circuit(engine: str, circuit: Circuit, readout: Readout) -> None:
    engine_module(engine).check(circuit, readout, engine)


def choose(
    engine: str,
    circuit: Circuit,
    readout: Readout,
    device: str = "cpu",
    transformed: bool = False,
    batch: int = 1,
) -> str:
    """What "auto" means: the first of `AUTO` that can run it.

    Args:
        engine: As asked for; anything but "auto" is kept.
        circuit: What is to be run.
        readout: What is to be read.
        device: The type of the tensors' device, such as "cpu" or "cuda".
        transformed: Whether torch.func is at work.
        batch: Samples.
    """
    if engine != "auto":
        return engine
    situation = circuit, readout, device, transformed, batch
    return next((name for name in AUTO if not refusal(name, *situation)), "torch")


def refusal(engine: str, *situation) -> str:
    """The sentence with which `check_call` refuses, empty if it does not."""
    return _sentence(check_call, engine, *situation)


def _sentence(check: Callable[..., None], *arguments) -> str:
    try:
        check(*arguments)
    except ValueError as reason:
        return str(reason)
    return ""


@functools.cache
def _cpu_fault() -> str:
    """Why the kernels of engine `cpu` do not run on this machine, found by running them; empty where they do."""
    if importlib.util.find_spec("numba") is None:
        return "needs numba, which is not installed (pip install numba)"
    try:
        importlib.import_module("qtha_lab.simulators.cpu.engine").try_out()
    except Exception as fault:  # of a compiler and its libraries, whatever it may be
        message = " ".join(str(fault).split())
        return f"cannot be compiled by numba here ({type(fault).__name__}: {message:.200})"
    return ""

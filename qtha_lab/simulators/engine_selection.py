"""Which of the engines "auto" means, and whether an engine can run a batch.

What an engine is, and how one registers itself, is `registry`.
"""

import functools
import logging
from collections.abc import Callable

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.simulators.memory import check_memory
from qtha_lab.simulators.registry import ENGINES, Engine, EngineInfo, Yields

log = logging.getLogger(__name__)

FALLBACK = "torch"  # "auto" where nothing can run a batch: its sentence says why


def engine_names() -> list[str]:
    """Engines to choose from; any PennyLane device can be named, as `device:NAME(option=value,…)`."""
    infos = sorted(ENGINES.values(), key=lambda info: (info.place, info.name))
    listed = (info.examples for info in infos if info.listed)
    return ["auto", *(example for examples in listed for example in examples)]


def automatic() -> list[str]:
    """What "auto" tries, in this order.

    `qtha-lab bench auto` times them, with one thread and two, on the QTHA ansatz of 2 to 20 qubits, 1 to 8 layers and 1 to
    2,048 samples: cpu is the fastest or within a fifth of it; to Lightning it yields for a single deep sample of 18 qubits
    and more where there are two threads (docs/engines.md).
    """
    rotations = {info.name: info.auto for info in ENGINES.values() if info.auto is not None}
    return sorted(rotations, key=lambda name: (rotations[name], name))


def info_of(engine: str) -> EngineInfo:
    """What is declared of an engine (not "auto").

    Raises:
        Refusal: If there is no such engine, with the nearest name.
    """
    family, colon, _ = str(engine).partition(":")
    for info in ENGINES.values():
        if family in (info.name, *info.variants) and bool(colon) == info.has_options:
            return info
    raise unknown("engine", str(engine), engine_names())


def engine_of(engine: str) -> Engine:
    """What runs an engine's circuits (not "auto"); imported when it is first asked for.

    Raises:
        Refusal: If there is no such engine, with the nearest name, or it does not run here.
    """
    return info_of(engine).loaded


def check_engine(engine: str, circuit: Circuit, readout: Readout | None = None) -> None:
    """Refuse an engine that is unknown, not installed, or cannot run the circuit.

    Args:
        engine: "auto", or any of `engine_names()`.
        circuit: What is to be run.
        readout: What is to be read; by default Z of every qubit.

    Raises:
        Refusal: With one sentence; of "auto" only if none of `automatic()` can run it.

    Example:
        >>> check_engine("torch", Circuit(30, []))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: engine 'torch' takes 24 qubits at most, not 30 (8,589,934,592 bytes per sample)
    """
    readout = readout or Readout.z(circuit.n_qubits)
    if engine != "auto":
        device = "cuda" if info_of(engine).cuda_tensors_only else "cpu"
        return check_call(engine, circuit, readout, device)
    # who compiles nothing is asked first: that another is quicker is for `choose` to find out
    names = sorted(automatic(), key=FALLBACK.__ne__)
    if all(_sentence(_check_circuit, name, circuit, readout) for name in names):
        raise Refusal(_sentence(_check_circuit, FALLBACK, circuit, readout))


def check_call(
    engine: str,
    circuit: Circuit,
    readout: Readout,
    device: str = "cpu",
    transformed: bool = False,
    batch: int = 1,
) -> None:
    """Refuse a batch that an engine (not "auto") cannot run.

    Args:
        engine: One of `engine_names()` but "auto", or a PennyLane device as "device:NAME".
        circuit: What is to be run.
        readout: What is to be read.
        device: The type of the tensors' device, such as "cpu" or "cuda".
        transformed: Whether torch.func is at work on an engine that was not named.
        batch: Samples.

    Raises:
        Refusal: If the engine is unknown, does not run here, does not take such tensors, circuits or
            readouts, or needs more bytes than are free.

    Example:
        >>> check_call("cpu", Circuit(1, []), Readout.z(1), device="cuda")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: engine 'cpu' takes CPU tensors, not cuda: use engine='torch'
    """
    info = info_of(engine)
    if transformed and not info.transformable:
        raise Refusal(
            f"engine {engine!r} has first derivatives only under torch.func: "
            "'auto' takes engine 'torch' there"
        )
    if info.cpu_tensors_only and device != "cpu":
        raise Refusal(f"engine {engine!r} takes CPU tensors, not {device}: use engine='torch'")
    if info.cuda_tensors_only and device != "cuda":
        raise Refusal(f"engine {engine!r} takes CUDA tensors, not {device}: use engine='torch'")
    _check_circuit(engine, circuit, readout)
    n_bytes = info.loaded.working_bytes(circuit, max(batch, 1), engine)
    place = device if info.follows_tensors else "cpu"
    check_memory(engine, circuit.n_qubits, batch, n_bytes, place)


def _check_circuit(engine: str, circuit: Circuit, readout: Readout) -> None:
    _check_once(info_of(engine), engine, circuit, readout)


@functools.lru_cache(maxsize=256)
def _check_once(info: EngineInfo, engine: str, circuit: Circuit, readout: Readout) -> None:
    info.loaded.check(circuit, readout, engine)


def choose(
    engine: str,
    circuit: Circuit,
    readout: Readout,
    device: str = "cpu",
    transformed: bool = False,
    batch: int = 1,
) -> str:
    """What "auto" means: the first of `automatic()` that can run it, or whom that one yields to.

    Args:
        engine: As asked for; anything but "auto" is kept.
        circuit: What is to be run.
        readout: What is to be read.
        device: The type of the tensors' device, such as "cpu" or "cuda".
        transformed: Whether torch.func is at work.
        batch: Samples.

    Returns:
        The name of an engine; "torch" if none can run it, whose sentence then says why.

    Example:
        >>> choose("auto", Circuit(9, []), Readout.z(9), device="cuda")
        'torch'
    """
    if engine != "auto":
        return engine
    situation = circuit, readout, device, transformed, batch
    for name in automatic():
        reason = refusal(name, *situation)
        if not reason:
            other = yields(name, circuit, batch)
            return other[0] if other and not refusal(other[0], *situation) else name
        log.debug("auto passes %s over: %s", name, reason)
    return FALLBACK


def yields(engine: str, circuit: Circuit, batch: int) -> tuple[str, str] | None:
    """Who gets through a batch in less time by what an engine knows, and why; None where it knows of nobody.

    Args:
        engine: One of `automatic()` that can run it.
        circuit: What is to be run.
        batch: Samples.
    """
    running = engine_of(engine)
    return running.quicker(circuit, batch) if isinstance(running, Yields) else None


def refusal(engine: str, *situation) -> str:
    """The sentence with which `check_call` refuses, empty if it does not."""
    return _sentence(check_call, engine, *situation)


def _sentence(check: Callable[..., None], *arguments) -> str:
    try:
        check(*arguments)
    except ValueError as reason:
        return str(reason)
    return ""

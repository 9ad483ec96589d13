"""Engine selection for "auto", and checks that an engine can run a batch.

`registry` defines the engine protocol and the registration.
"""

import functools
import logging
from collections.abc import Callable
from pathlib import Path

import torch

from qtha_lab.circuits import Circuit, Readout
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read
from qtha_lab.core.settings import unknown
from qtha_lab.simulators.registry import ENGINES, Engine, EngineInfo

log = logging.getLogger(__name__)

FALLBACK = "torch"  # "auto" selects it if no engine can run a batch; its error states the reason


def engine_names() -> list[str]:
    """Return the names of all listed engines, "auto" first.

    Any PennyLane device is also an engine, as `device:NAME(option=value,…)`.
    """
    infos = sorted(ENGINES.values(), key=lambda info: (info.place, info.name))
    listed = (info.examples for info in infos if info.listed)
    return ["auto", *(example for examples in listed for example in examples)]


def automatic() -> list[str]:
    """Return the engines that "auto" tries, in this order.

    docs/engines.md has their times with one and two threads on the QTHA ansatz: 2 to 20 qubits, 1
    to 8 layers, 1 to 2,048 samples. cpu is the fastest or within a fifth of the fastest. For a
    single deep sample of 18 or more qubits and two threads, cpu yields to Lightning.
    """
    positions = {info.name: info.auto for info in ENGINES.values() if info.auto is not None}
    return sorted(positions, key=lambda name: (positions[name], name))


def info_of(engine: str) -> EngineInfo:
    """Return the declaration of an engine (not "auto").

    Raises:
        Refusal: If there is no such engine; the message names the nearest one.
    """
    family, colon, _ = str(engine).partition(":")
    for info in ENGINES.values():
        if family in (info.name, *info.variants) and bool(colon) == info.has_options:
            return info
    raise unknown("engine", str(engine), engine_names())


def engine_of(engine: str) -> Engine:
    """Return the engine of a name other than "auto"; the first call imports the engine.

    Raises:
        Refusal: If there is no such engine (the message names the nearest one), or it does not run
            on this machine.
    """
    return info_of(engine).loaded


def check_engine(engine: str, circuit: Circuit, readout: Readout | None = None) -> None:
    """Refuse an engine that is unknown, not installed, or cannot run the circuit.

    Args:
        engine: "auto", or any of `engine_names()`.
        circuit: Circuit to run.
        readout: Read-out to compute; by default Z of every qubit.

    Raises:
        Refusal: If the engine cannot run the circuit; for "auto", if none of `automatic()` can.

    Example:
        >>> check_engine("torch", Circuit(30, []))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: engine 'torch' takes 24 qubits at most, not 30 (...)
    """
    readout = readout or Readout.z(circuit.n_qubits)
    if engine != "auto":
        return check_call(engine, circuit, readout)
    # `torch` compiles nothing, so check it first; `choose` later selects a faster engine
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

    Raises:
        Refusal: If the engine is unknown, does not run on this machine, does not support the
            tensors, circuit or read-out, or needs more memory than is free.

    Example:
        >>> check_call("cpu", Circuit(1, []), Readout.z(1), device="cuda")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Engine 'cpu' takes CPU tensors, got cuda. Use engine='torch'.
    """
    info = info_of(engine)
    if transformed and not info.transformable:
        raise Refusal(
            f"engine must have higher derivatives under torch.func, got {engine!r}. Use "
            "engine='torch' or 'auto'."
        )
    if info.cpu_tensors_only and device != "cpu":
        raise Refusal(
            f"Inputs of engine {engine!r} must be CPU tensors, got {device}. Use engine='torch'."
        )
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
    """Select the engine for "auto": the first of `automatic()` that can run the batch.

    If that engine declares another one faster (`yields`), the faster engine is selected.

    Args:
        engine: Engine name; any name except "auto" is returned unchanged.
        circuit: Circuit to run.
        readout: Read-out to compute.
        device: Type of the tensors' device, such as "cpu" or "cuda".
        transformed: Whether a torch.func transform wraps the tensors.
        batch: Number of samples.

    Returns:
        The name of an engine; "torch" if none can run the batch, and its error states the reason.

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


def likely(engine: str, device: str) -> str:
    """Return the engine that "auto" tries first for a device; nothing is checked or compiled.

    Args:
        engine: Engine name; any name except "auto" is returned unchanged.
        device: Type of the tensors' device, such as "cpu" or "cuda".
    """
    if engine != "auto":
        return engine
    for name in automatic():
        info = info_of(name)
        fits = device == "cpu" or not info.cpu_tensors_only
        if fits and not _sentence(engine_of, name):
            return name
    return FALLBACK


def yields(engine: str, circuit: Circuit, batch: int) -> tuple[str, str] | None:
    """Return the engine that is faster for a batch, with the reason, or None."""
    quicker = getattr(engine_of(engine), "quicker", None)
    return quicker(circuit, batch) if quicker else None


def refusal(engine: str, *situation) -> str:
    """Return the message of the error that `check_call` raises, or an empty string."""
    return _sentence(check_call, engine, *situation)


def _sentence(check: Callable[..., object], *arguments) -> str:
    try:
        check(*arguments)
    except ValueError as reason:
        return str(reason)
    return ""


def compiler_refusal(fault: Exception) -> str:
    """Return the refusal of engine `cpu` for an error of numba."""
    message = " ".join(str(fault).split())
    return (
        "Engine 'cpu' must compile here, got an error of numba "
        f"({type(fault).__name__}: {message:.200}). Use engine='torch' or 'auto'."
    )


SMALL_BYTES = 2**26  # smaller evaluations are not checked


def check_memory(
    engine: str, n_qubits: int, batch: int, needed: int, device: torch.device | str = "cpu"
) -> None:
    """Refuse an evaluation that needs more memory than is free; below 64 MiB never refuse.

    Args:
        engine: The engine's name, for the message.
        n_qubits: Qubits of the circuit, for the message.
        batch: Number of samples, for the message.
        needed: Required memory in bytes.
        device: Device of the memory. On devices other than the CPU and CUDA the free memory is
            unknown, and nothing is refused.

    Raises:
        Refusal: With required and free bytes.

    Example:
        >>> check_memory("torch", 60, 1, 3 * 8 * 2**60)
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: engine 'torch' needs 27,670,116,110,564,327,424 bytes ...
    """
    if needed < SMALL_BYTES:
        return
    free = free_bytes(torch.device(device))
    if needed > free:
        samples = f"{batch:,} sample{'' if batch == 1 else 's'}"
        raise Refusal(
            f"Engine {engine!r} must have {needed:,} bytes for {n_qubits} qubits and {samples}, "
            f"got {free:,} free bytes."
        )


def free_bytes(device: torch.device) -> int:
    """Return the free memory of a device in bytes; 2^63 if unknown."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        import psutil

        return min(psutil.virtual_memory().available, _free_in_group())
    return 2**63


def _free_in_group(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """Return the bytes that the control groups of this process still allow (Linux, version 2).

    A container or a batch job sets such limits; without one the result is 2^63.
    """
    try:
        lines = read(membership).splitlines()
    except OSError as reason:
        log.debug("no control group: %s", reason)
        return 2**63
    inside = next((line[3:] for line in lines if line.startswith("0::")), "/")
    group = root / inside.strip("/")
    groups = [group, *group.parents][: len(group.relative_to(root).parts) + 1]
    return min(map(_left, groups))


def _left(group: Path) -> int:
    """Return a control group's limit minus its use; inactive file cache counts as free."""
    try:
        limit = read(group / "memory.max").strip()
        usage = int(read(group / "memory.current"))
        cached = dict(line.split() for line in read(group / "memory.stat").splitlines())
    except FileNotFoundError:  # the root has no limit
        return 2**63
    except (OSError, ValueError) as reason:
        log.debug("the limit of %s is passed over: %s", group, reason)
        return 2**63
    if limit == "max":
        return 2**63
    return max(0, int(limit) - usage + int(cached.get("inactive_file", 0)))

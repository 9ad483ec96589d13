"""Memory check before an evaluation."""

import logging
from pathlib import Path

import torch

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read

log = logging.getLogger(__name__)

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

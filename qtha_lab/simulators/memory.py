"""Whether an evaluation fits into memory, asked before it starts."""

import logging
from pathlib import Path

import torch

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read

log = logging.getLogger(__name__)

SMALL_BYTES = 2**26  # that nobody needs to ask for


def check_memory(
    engine: str, n_qubits: int, batch: int, needed: int, device: torch.device | str = "cpu"
) -> None:
    """Refuse what needs more bytes than are free; less than 64 MiB is never refused.

    Args:
        engine: The engine's name, for the sentence.
        n_qubits: Qubits of the circuit, for the sentence.
        batch: Samples, for the sentence.
        needed: Bytes that are needed.
        device: Where; what is free on devices other than the CPU and CUDA is not known, and nothing
            is refused there.

    Raises:
        Refusal: With both numbers.

    Example:
        >>> check_memory("torch", 60, 1, 3 * 8 * 2**60)
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: engine 'torch' needs 27,670,116,110,564,327,424 bytes for 60 qubits and 1 sample, …
    """
    if needed < SMALL_BYTES:
        return
    free = free_bytes(torch.device(device))
    if needed > free:
        samples = f"{batch:,} sample{'' if batch == 1 else 's'}"
        raise Refusal(
            f"engine {engine!r} needs {needed:,} bytes for {n_qubits} qubits and {samples}, "
            f"and {free:,} are free"
        )


def free_bytes(device: torch.device) -> int:
    """Memory that can be had now; unlimited where that is not known."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    if device.type == "cpu":
        import psutil

        return min(psutil.virtual_memory().available, _free_in_group())
    return 2**63


def _free_in_group(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> int:
    """What the control groups of this process (a container, a batch job) still allow; Linux, version 2."""
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
    """Limit less use, of which files that are only cached can be given up."""
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

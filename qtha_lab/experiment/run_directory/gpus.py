"""CUDA GPUs shared by runs: one lock per GPU, released when its run ends.

Calls no CUDA library, because a worker must select its GPU before it loads one.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import socket
from pathlib import Path

log = logging.getLogger(__name__)

DEVICES = Path("/dev")
VISIBLE = "CUDA_VISIBLE_DEVICES"


def cards() -> list[str]:
    """List the GPUs that torch would find, as `CUDA_VISIBLE_DEVICES` names them.

    Empty if torch was built without CUDA.
    """
    names = [file.name for file in DEVICES.glob("nvidia*")]
    count = sum(re.fullmatch(r"nvidia\d+", name) is not None for name in names)
    if not count or not _torch_has_cuda():
        return []
    chosen = os.environ.get(VISIBLE)
    if chosen is None:
        return [str(number) for number in range(count)]
    return [name for part in chosen.split(",") if (name := part.strip()) not in ("", "-1")]


def visible_gpus(folder: Path) -> dict[Path, str]:
    """Return the lock files of this machine's GPUs, each with the GPU's name."""
    host = socket.gethostname()
    return {folder / f"card-{host}-{name.replace('/', '-')}": name for name in cards()}


def use(names: list[str]) -> None:
    """Restrict this process and its children to these GPUs; call before CUDA is used."""
    os.environ[VISIBLE] = ",".join(names)


def _torch_has_cuda() -> bool:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError as reason:
        log.debug("whether torch has CUDA is not known: %s", reason)
        return False
    return not version.endswith(("+cpu", "+xpu")) and "+rocm" not in version

"""A check that a process with torch loaded may be forked on this machine.

A forked process cannot use a GPU driver that its parent has initialised. Torch may initialise the
driver during the import of libraries. So nothing is forked if torch is built for a GPU that is
present. A GPU that torch was not built for, such as that of a desktop's screen, is never used here.
"""

import functools
import importlib.util
import runpy
import sys
from pathlib import Path

DEVICES = {  # device files of the driver, by backend as in `torch.version`
    "cuda": ("dev/nvidiactl", "dev/dxg"),
    "hip": ("dev/kfd", "dev/dxg"),
    "xpu": ("dev/dri/renderD128", "dev/dxg"),
}


@functools.cache
def hindrance(root: Path = Path("/"), torch_version: Path | None = None) -> str:
    """Return the reason against forking here, as a clause; "" if forking is safe.

    Args:
        root: Root folder of the device files.
        torch_version: A `torch/version.py`; None is that of the installed torch, which is not
            imported.
    """
    if sys.platform != "linux":
        return f"a process with torch loaded is forked on Linux alone, and this is {sys.platform}"
    for kind in _built_for(torch_version):
        for device in DEVICES[kind]:
            if (root / device).exists():
                return (
                    f"torch is built for {kind}, which /{device} is for, and a driver bears no fork"
                )
    return ""


def _built_for(torch_version: Path | None) -> list[str]:
    """Return the GPU kinds that torch is built for; all if unknown."""
    spec = importlib.util.find_spec("torch")
    if torch_version is None and spec and spec.origin:
        torch_version = Path(spec.origin).with_name("version.py")
    if torch_version is None or not torch_version.exists():
        return list(DEVICES)
    facts = runpy.run_path(str(torch_version))
    return [kind for kind in DEVICES if facts.get(kind)]

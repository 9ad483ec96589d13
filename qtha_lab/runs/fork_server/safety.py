"""Whether a process that has torch loaded may be forked here.

A driver of a GPU belongs to the process that began with it: a fork cannot use it, and torch may begin with it while
libraries are imported. So nothing is forked where torch has code for a GPU that is here. A GPU that torch was not built
for, such as that of a desktop's screen, no process of ours touches.
"""

import functools
import importlib.util
import runpy
import sys
from pathlib import Path

DEVICES = {  # by what torch is built for, in the words of `torch.version`: what its driver makes
    "cuda": ("dev/nvidiactl", "dev/dxg"),
    "hip": ("dev/kfd", "dev/dxg"),
    "xpu": ("dev/dri/renderD128", "dev/dxg"),
}


@functools.cache
def hindrance(root: Path = Path("/"), torch_version: Path | None = None) -> str:
    """Why no process is forked here, a clause; empty where one may be.

    Args:
        root: Where devices are looked for.
        torch_version: A `torch/version.py`; None is that of the installed torch, which is not imported.
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
    """The kinds of GPU that torch has code for; all of them where it does not say."""
    spec = importlib.util.find_spec("torch")
    if torch_version is None and spec and spec.origin:
        torch_version = Path(spec.origin).with_name("version.py")
    if torch_version is None or not torch_version.exists():
        return list(DEVICES)
    facts = runpy.run_path(str(torch_version))
    return [kind for kind in DEVICES if facts.get(kind)]

"""The address of a fork server: one folder per environment of the forked processes.

State that a process reads while it imports libraries cannot be changed after a fork. So the
folder's name contains a hash of all of it, and a process with different state gets another server.
"""

import hashlib
import os
import sys
from pathlib import Path
from tempfile import gettempdir

from qtha_lab import __version__
from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read, shortened
from qtha_lab.core.io.private import OTHERS_ANY, private_folder

IMPORT_TIME = tuple(  # prefixes of variables that libraries read at import
    (  # noqa: SIM905
        "ACCELERATE CUDA DATASETS_ GOMP_ HF_ HOME HUGGINGFACE KMP_ LC_ LANG LD_ MALLOC_ "
        "MKL_ NUMBA_ NUMEXPR_ OMP_ OPENBLAS_ PYTHON PYTORCH_ QTHA_LAB_CACHE QTHA_LAB_LOG "
        "TOKENIZERS_ TRANSFORMERS_ VIRTUAL_ENV XDG_"
    ).split()
)
LONGEST = 90  # bytes of a socket address; the system allows 107


def idle_seconds() -> float:
    """Return the seconds until an idle server ends: `QTHA_LAB_WARM_SECONDS`, 600 by default.

    Raises:
        Refusal: If the variable is not a number of seconds of at least 0 and below 10⁹.
    """
    return _seconds("QTHA_LAB_WARM_SECONDS", "600", " (0 for no server)")


def reply_seconds() -> float:
    """Return the seconds to wait for a server's reply.

    They are `QTHA_LAB_WARM_REPLY_SECONDS`, 60 by default.

    Raises:
        Refusal: As `idle_seconds`.
    """
    return _seconds("QTHA_LAB_WARM_REPLY_SECONDS", "60")


def _seconds(variable: str, default: str, remark: str = "") -> float:
    text = os.environ.get(variable, default)
    try:
        seconds = float(text)
    except ValueError:
        raise _no_seconds(variable, remark, text) from None
    if not 0 <= seconds < 1e9:
        raise _no_seconds(variable, remark, text)
    return seconds


def _no_seconds(variable: str, remark: str, text: str) -> Refusal:
    return Refusal(f"{variable} must be a number of seconds{remark}, got {shortened(text)!r}.")


def folder() -> Path:
    """Return the folder of the server for the environment of this process, with mode 0700.

    Raises:
        OSError: If it cannot be created, or its name is too long.
        Refusal: If it is a link, belongs to another user or has another mode.
    """
    parent = Path(os.environ.get("XDG_RUNTIME_DIR") or gettempdir())
    path = parent / f"qtha-lab-{os.getuid()}" / server_fingerprint()
    if len(os.fsencode(path)) > LONGEST:
        raise OSError(f"{path} is too long for the address of a socket")
    private_folder(path.parent, OTHERS_ANY)
    return private_folder(path, OTHERS_ANY)


def server_fingerprint() -> str:
    """Return a short hash of the inherited state: source, interpreter, variables, limits."""
    variables = {k: v for k, v in os.environ.items() if k.startswith(IMPORT_TIME)}
    state = (
        __version__,
        sys.executable,
        sys.path[1:],
        sources(),
        sorted(variables.items()),
        *_limits(),
    )
    return hashlib.sha256(repr(state).encode()).hexdigest()[:16]


def sources() -> list[tuple[str, int, int]]:
    """Return name, size and time of every file of the package.

    A checkout may change them between two runs.
    """
    return [
        (str(path.relative_to(paths.PACKAGE)), state.st_size, state.st_mtime_ns)
        for path in sorted(paths.PACKAGE.rglob("*.py"))
        for state in [path.stat()]
    ]


def _limits() -> list[object]:
    """Return the process limits that a forked worker inherits."""
    import resource

    kinds = sorted(name for name in dir(resource) if name.startswith("RLIMIT_"))
    return [
        [resource.getrlimit(getattr(resource, kind)) for kind in kinds],
        sorted(os.sched_getaffinity(0)),
        os.getpriority(os.PRIO_PROCESS, 0),
        os.readlink("/proc/self/ns/mnt"),
        read(Path("/proc/self/cgroup")),
        _umask(),
    ]


def _umask() -> str:
    status = read(Path("/proc/self/status"))
    return next((line for line in status.splitlines() if line.startswith("Umask:")), "")

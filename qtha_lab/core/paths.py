"""Where things lie: shipped data, runs, the cache of converted models and compiled kernels, the record of faults.

Each place has one environment variable that overrides it; nothing else in the package reads them.
"""

import os
from pathlib import Path
from typing import Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent
LONGEST_NAME = 255  # bytes of one part of a path
LOG_LEVELS = ("debug", "info", "warning", "error")


def as_path(name: str | Path) -> Path:
    """The path that a person wrote, `~` taken as the home folder.

    Raises:
        Refusal: If nothing can be called so, or it begins in the home of nobody.

    Example:
        >>> as_path("~nobody-here/model")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: '~nobody-here/model' begins in the home folder of a user who is not here
    """
    if "\0" in str(name) or any(len(os.fsencode(part)) > LONGEST_NAME for part in Path(name).parts):
        raise Refusal(
            f"no file is called {shortened(repr(str(name)), 40)}: each part of a path has at most {LONGEST_NAME} bytes, "
            "none of them 0"
        )
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise Refusal(
            f"{shortened(repr(str(name)))} begins in the home folder of a user who is not here"
        ) from None


def shared_name(name: str) -> str:
    """Return the last part of an absolute path, for files that leave this machine; another name as it is.

    Example:
        >>> shared_name("/home/ada/reviews.jsonl"), shared_name("qa")
        ('reviews.jsonl', 'qa')
    """
    return Path(name).name if Path(name).is_absolute() else name


def working_folder() -> Path:
    """Return the working folder of this process.

    Raises:
        Refusal: If it was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise Refusal(
            "The working folder must exist, got one that was deleted. Change to another folder first."
        ) from None


def data_dir() -> Path:
    """The folder of shipped models and texts (`data/` of a checkout, or inside an installed wheel)."""
    if override := os.environ.get("QTHA_LAB_DATA"):
        return Path(override)
    inside = PACKAGE / "data"
    return inside if inside.is_dir() else CHECKOUT / "data"


def notebooks_dir() -> Path:
    """The folder of shipped notebooks (`notebooks/` of a checkout, or inside an installed wheel)."""
    inside = PACKAGE / "notebooks"
    return inside if inside.is_dir() else CHECKOUT / "notebooks"


def is_checkout() -> bool:
    """Whether the package is used from a checkout, not from an installed wheel."""
    return (CHECKOUT / "pyproject.toml").is_file()


def runs_dir() -> Path:
    """The folder of run directories: `QTHA_LAB_RUNS`, else `runs/` of the checkout or of the working folder."""
    if override := os.environ.get("QTHA_LAB_RUNS"):
        return Path(override)
    root = CHECKOUT if is_checkout() else working_folder()
    return root / "runs"


def cache_dir() -> Path:
    """The folder of fetched and converted models: `QTHA_LAB_CACHE`, else `~/.cache/qtha-lab`."""
    if override := os.environ.get("QTHA_LAB_CACHE"):
        return Path(override)
    return Path.home() / ".cache" / "qtha-lab"


def state_dir() -> Path:
    """The folder of this user's key and trusted runs: `QTHA_LAB_STATE`, else `qtha-lab` in the XDG state folder."""
    if override := os.environ.get("QTHA_LAB_STATE"):
        return Path(override)
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "qtha-lab"
    return Path.home() / ".local" / "state" / "qtha-lab"


def kernels_dir() -> Path:
    """The folder of compiled kernels; whatever is in it can be deleted at any time."""
    return cache_dir() / "kernels"


def log_level() -> str | None:
    """The level of the log that `QTHA_LAB_LOG` names, alone or before a file; None where it names none."""
    head = os.environ.get("QTHA_LAB_LOG", "").partition(":")[0].lower()
    return head if head in LOG_LEVELS else None


def chosen_log_file() -> Path | None:
    """The file that `QTHA_LAB_LOG` names, alone or after a level; None where it names none."""
    value = os.environ.get("QTHA_LAB_LOG", "")
    file = value.partition(":")[2] if log_level() else value
    return Path(file) if file else None


def log_file() -> Path:
    """Where faults of ours are recorded: the file of `QTHA_LAB_LOG`, else `faults.log` in the cache folder."""
    return chosen_log_file() or cache_dir() / "faults.log"


def profile() -> Literal["ci", "full"]:
    """`"ci"` when `QTHA_LAB_PROFILE=ci` asks every notebook to shrink to seconds."""
    return "ci" if os.environ.get("QTHA_LAB_PROFILE") == "ci" else "full"

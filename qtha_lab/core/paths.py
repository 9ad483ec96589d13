"""Paths of data, runs, caches, user state and the fault log.

One environment variable overrides each path, and only this module reads them.
"""

import os
from pathlib import Path
from typing import Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

PACKAGE = Path(__file__).resolve().parents[1]
CHECKOUT = PACKAGE.parent
LONGEST_NAME = 255  # bytes of one path component
LONGEST_PATH = 4095  # bytes
LOG_LEVELS = ("debug", "info", "warning", "error")


def as_path(name: str | Path) -> Path:
    """Return the path of a user input, with `~` expanded.

    Raises:
        Refusal: If no file can have the name, or `~` names an unknown user.

    Example:
        >>> as_path("~unknown-user/model")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: The user after ~ must exist, got '~unknown-user/model'.
    """
    longest = max((len(os.fsencode(part)) for part in Path(name).parts), default=0)
    size = len(os.fsencode(name))
    if "\0" in str(name) or longest > LONGEST_NAME or size > LONGEST_PATH:
        raise Refusal(
            f"A path must have at most {LONGEST_PATH:,} bytes, {LONGEST_NAME} in each part, and no "
            f"zero byte, got {shortened(repr(str(name)), 40)}."
        )
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise Refusal(f"The user after ~ must exist, got {shortened(repr(str(name)))}.") from None


def shared_name(name: str) -> str:
    """Return the last part of an absolute path; other names stay unchanged.

    For files that leave this machine.

    Example:
        >>> shared_name("/home/ada/reviews.jsonl"), shared_name("qa")
        ('reviews.jsonl', 'qa')
    """
    return Path(name).name if Path(name).is_absolute() else name


def working_folder() -> Path:
    """Return the working folder of this process.

    Raises:
        Refusal: If the folder was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise Refusal(
            "The working folder must exist, got one that was deleted. "
            "Change to another folder first."
        ) from None


def data_dir() -> Path:
    """Return the folder of shipped models and texts.

    It is `QTHA_LAB_DATA`, else the folder inside an installed wheel, else `data/` of a checkout.
    """
    if override := os.environ.get("QTHA_LAB_DATA"):
        return Path(override)
    inside = PACKAGE / "data"
    return inside if inside.is_dir() else CHECKOUT / "data"


def notebooks_dir() -> Path:
    """Return the folder of shipped notebooks, in a checkout or an installed wheel.

    It is `notebooks/` of a checkout, or inside an installed wheel.
    """
    inside = PACKAGE / "notebooks"
    return inside if inside.is_dir() else CHECKOUT / "notebooks"


def examples_dir() -> Path:
    """Return the folder of shipped examples, in a checkout or an installed wheel."""
    inside = PACKAGE / "examples"
    return inside if inside.is_dir() else CHECKOUT / "examples"


def is_checkout() -> bool:
    """Return True if the package runs from a checkout, False from an installed wheel."""
    return (CHECKOUT / "pyproject.toml").is_file()


def runs_dir() -> Path:
    """Return the folder of run directories.

    It is `QTHA_LAB_RUNS`, else `runs/` of the checkout or of the working folder.
    """
    if override := os.environ.get("QTHA_LAB_RUNS"):
        return Path(override)
    root = CHECKOUT if is_checkout() else working_folder()
    return root / "runs"


def variable_of(path: Path) -> str:
    """Return the environment variable that moves a path to another folder."""
    folders = {"QTHA_LAB_CACHE": cache_dir(), "QTHA_LAB_STATE": state_dir()} | (
        {"QTHA_LAB_MY": own} if (own := own_work_dir()) else {}
    )
    inside = (name for name, folder in folders.items() if path.is_relative_to(folder))
    return next(inside, "QTHA_LAB_RUNS")


def own_work_dir() -> Path | None:
    """Return the folder of a reader's answers that `QTHA_LAB_MY` names; None without one."""
    override = os.environ.get("QTHA_LAB_MY")
    return Path(override) if override else None


def cache_dir() -> Path:
    """Return the cache folder of models: `QTHA_LAB_CACHE`, else `~/.cache/qtha-lab`.

    It holds downloaded and converted models.
    """
    if override := os.environ.get("QTHA_LAB_CACHE"):
        return Path(override)
    return Path.home() / ".cache" / "qtha-lab"


def state_dir() -> Path:
    """Return the folder of this user's key and trusted runs.

    It is `QTHA_LAB_STATE`, else `qtha-lab` in the XDG state folder.
    """
    if override := os.environ.get("QTHA_LAB_STATE"):
        return Path(override)
    if base := os.environ.get("XDG_STATE_HOME"):
        return Path(base) / "qtha-lab"
    return Path.home() / ".local" / "state" / "qtha-lab"


def kernels_dir() -> Path:
    """Return the folder of compiled kernels, which can be deleted at any time."""
    return cache_dir() / "kernels"


def log_level() -> str | None:
    """Return the log level in `QTHA_LAB_LOG`, alone or before a file; None without one."""
    head = os.environ.get("QTHA_LAB_LOG", "").partition(":")[0].lower()
    return head if head in LOG_LEVELS else None


def chosen_log_file() -> Path | None:
    """Return the file in `QTHA_LAB_LOG`, alone or after a level; None without one."""
    value = os.environ.get("QTHA_LAB_LOG", "")
    file = value.partition(":")[2] if log_level() else value
    return Path(file) if file else None


def log_file() -> Path:
    """Return the fault log: the file of `QTHA_LAB_LOG`, else `faults.log` in the cache."""
    return chosen_log_file() or cache_dir() / "faults.log"


def profile() -> Literal["ci", "full"]:
    """Return `"ci"` if `QTHA_LAB_PROFILE=ci` requests short notebooks, else `"full"`."""
    return "ci" if os.environ.get("QTHA_LAB_PROFILE") == "ci" else "full"

"""Trust in folders with code: runs, comparisons, sweeps and federations.

Plugins of another user's folder need a confirmation before they are imported. Trust applies to one
folder with its subfolders, and to the present content of its plugins. It is recorded in the user's
state folder, and in an environment variable for workers on remote backends without access to that
folder. Imports no plugin.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import printable, shortened, show, write_new
from qtha_lab.core.io.signed import check_folder, check_private, private_folder

log = logging.getLogger(__name__)

VARIABLE = "QTHA_LAB_TRUSTED"
GROUPS = {"comparison": "comparisons", "sweep": "sweeps", "federation": ""}
MOST = 64  # maximum number of runs in the environment variable, whose length the system limits


def combined_digest(digests: Mapping[str, str]) -> str:
    """Compute one digest of the contents of all plugins of a folder."""
    return hashlib.sha256(json.dumps(sorted(digests.values())).encode()).hexdigest()


def store_trust(folder: Path, digests: Mapping[str, str]) -> None:
    """Record that this user trusts the plugins of a folder."""
    folder = folder.resolve()
    known = [word for word in os.environ.get(VARIABLE, "").split(",") if word]
    word = _word(folder, digests)
    os.environ[VARIABLE] = ",".join([*[w for w in known if w != word], word][-MOST:])
    try:
        file = _file(folder, digests)
        private_folder(file.parent)
        write_new(file, f"{folder}\n{json.dumps(dict(digests), indent=1)}\n".encode())
    except FileExistsError:
        log.debug("%s is trusted already", folder)
    except (OSError, RuntimeError, Refusal) as reason:  # RuntimeError: no home folder exists
        log.warning("trust in %s holds for this process only: %s", folder, reason)


def is_trusted(folder: Path, digests: Mapping[str, str]) -> bool:
    """Return True if this user launched the folder with these plugins, or trusts them."""
    folder = folder.resolve()
    known = os.environ.get(VARIABLE, "").split(",")
    return any(
        _word(place, digests) in known or _is_recorded(place, digests)
        for place in (folder, *folder.parents)
    )


def _is_recorded(folder: Path, digests: Mapping[str, str]) -> bool:
    try:
        file = _file(folder, digests)
        check_folder(file.parent)
        check_private(file, status := file.lstat())
    except (OSError, RuntimeError, Refusal) as reason:
        log.debug("%s is not trusted: %s", folder, reason)
        return False
    return stat.S_ISREG(status.st_mode)


def check_trust(folder: Path, digests: Mapping[str, str]) -> None:
    """Refuse plugins that this user neither launched nor trusts.

    Asks for confirmation first if a terminal is available.

    Raises:
        Refusal: If the answer is no, or no terminal is available.
    """
    if not digests or is_trusted(folder, digests):
        return
    files, noun = ", ".join(shortened(name) for name in digests), kind_of(folder)
    if _can_ask() and _answer(f"This {noun} brings code: {files}. Trust it? [y/N] "):
        store_trust(folder, digests)
        return
    raise Refusal(
        f"{noun.capitalize()} {shortened(folder.name)} must be trusted before its code runs, "
        f"got {shortened(files, 60)}. "
        f"Read the code, then call `qtha-lab trust {printable(_shown(folder))[:80]}`."
    )


def kind_of(folder: Path) -> str:
    """Return the kind of a folder: "run", "comparison", "sweep" or "federation"."""
    if os.path.isfile(folder / "experiment.yaml"):
        return "run"
    return next((kind for kind in GROUPS if os.path.isfile(folder / f"{kind}.yaml")), "run")


def _shown(folder: Path) -> str:
    """Return the name of a folder in the runs folder; its path for one elsewhere."""
    group = GROUPS.get(kind_of(folder), "")
    if kind_of(folder) == "run" or folder.resolve().parent == (paths.runs_dir() / group).resolve():
        return folder.name
    return os.path.relpath(folder)


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _answer(question: str) -> bool:
    show(question, to=sys.stderr, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _file(folder: Path, digests: Mapping[str, str]) -> Path:
    name = f"{folder}\0{combined_digest(digests)}"
    return paths.state_dir() / "trusted" / hashlib.sha256(os.fsencode(name)).hexdigest()


def _word(folder: Path, digests: Mapping[str, str]) -> str:
    name = f"{folder.name}\0{combined_digest(digests)}"
    return hashlib.sha256(os.fsencode(name)).hexdigest()

"""Trust in run folders with code.

Plugins of another user's run need a confirmation before they are imported. Trust applies to one
folder and the present content of its plugins. It is recorded in the user's state folder, and in an
environment variable for workers on remote backends without access to that folder. Imports no
plugin.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import printable, shortened, show, write_new
from qtha_lab.core.io.private import check_folder, check_private, private_folder

log = logging.getLogger(__name__)

VARIABLE = "QTHA_LAB_TRUSTED"
MOST = 64  # maximum number of runs in the environment variable, whose length the system limits


def fingerprint(digests: Mapping[str, str]) -> str:
    """Compute one digest of the names and contents of all plugins of a run.

    Args:
        digests: SHA-256 of each plugin by name.
    """
    return hashlib.sha256(json.dumps(sorted(digests.items())).encode()).hexdigest()


def record(folder: Path, digests: Mapping[str, str]) -> None:
    """Record that this user trusts the plugins of a run folder.

    Args:
        folder: The run folder.
        digests: SHA-256 of each plugin by name.
    """
    known = [word for word in os.environ.get(VARIABLE, "").split(",") if word]
    word = _word(folder, digests)
    os.environ[VARIABLE] = ",".join([*[w for w in known if w != word], word][-MOST:])
    try:
        file = _file(folder, digests)
        private_folder(file.parent)
        write_new(file, f"{folder.resolve()}\n{json.dumps(dict(digests), indent=1)}\n".encode())
    except FileExistsError:
        log.debug("%s is trusted already", folder)
    except (OSError, RuntimeError, Refusal) as reason:  # RuntimeError: no home folder exists
        log.warning("trust in %s holds for this process only: %s", folder, reason)


def is_trusted(folder: Path, digests: Mapping[str, str]) -> bool:
    """Report if this user launched the run with these plugins, or trusted them later."""
    if _word(folder, digests) in os.environ.get(VARIABLE, "").split(","):
        return True
    try:
        file = _file(folder, digests)
        check_folder(file.parent)
        check_private(file, file.lstat())
    except (OSError, RuntimeError, Refusal) as reason:
        log.debug("%s is not trusted: %s", folder, reason)
        return False
    return True


def check(folder: Path, digests: Mapping[str, str]) -> None:
    """Refuse plugins that this user neither launched nor trusts.

    Asks for confirmation first if a terminal is available.

    Args:
        folder: The run folder.
        digests: SHA-256 of each plugin by name.

    Raises:
        Refusal: If the answer is no, or no terminal is available.
    """
    if not digests or is_trusted(folder, digests):
        return
    files = ", ".join(shortened(name) for name in digests)
    if _can_ask() and _answer(f"This run brings code: {files}. Trust it? [y/N] "):
        record(folder, digests)
        return
    raise Refusal(
        f"Run {shortened(folder.name)} must be trusted before its code runs, got {shortened(files)}. "
        f"Read the code, then call `qtha-lab trust {printable(folder.name)[:80]}`."
    )


def _can_ask() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr))


def _answer(question: str) -> bool:
    show(question, to=sys.stderr, end="")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _file(folder: Path, digests: Mapping[str, str]) -> Path:
    name = f"{folder.resolve()}\0{fingerprint(digests)}"
    return paths.state_dir() / "trusted" / hashlib.sha256(os.fsencode(name)).hexdigest()


def _word(folder: Path, digests: Mapping[str, str]) -> str:
    name = f"{folder.name}\0{fingerprint(digests)}"
    return hashlib.sha256(os.fsencode(name)).hexdigest()

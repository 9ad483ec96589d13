"""Answers of commands that follow from the code alone, kept so that the next call imports no library.

They lie in one file of the cache folder, beside a digest of the package's sources and of the versions
of the libraries; where that differs, or another package adds to the family, they are worked out anew.
The file can be deleted at any time.
"""

import hashlib
import importlib.metadata
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtha_lab import paths
from qtha_lab.rundir import read_mapping, write_json

LIBRARIES = ("peft", "torch", "transformers")
log = logging.getLogger(__name__)


def answer(question: str, compute: Callable[[], Any], package: str, group: str) -> Any:
    """What a computation gives, as it was if the code is as it was.

    Args:
        question: What is asked, with all that the answer depends on beside the code.
        compute: Gives the answer, as plain data of JSON.
        package: Of the family; once it is imported, plugins may have added to it.
        group: Entry points by which other packages add to it.
    """
    if package in sys.modules or importlib.metadata.entry_points(group=group):
        return compute()
    try:
        file, code = paths.cache_dir() / "answers.json", digest()
        stored = read_mapping(file) or {}
        answers = stored.get("answers") if stored.get("code") == code else None
        answers = answers if isinstance(answers, dict) else {}
        if question not in answers:
            answers = {**answers, question: compute()}
            _keep(file, {"code": code, "answers": answers})
        return answers[question]
    except RuntimeError as reason:  # there is no home folder
        log.debug("nothing is kept: %s", reason)
        return compute()


def digest() -> str:
    """Of everything that an answer is made by: our sources, the libraries, Python."""
    state = hashlib.sha256(repr((sys.version, [_version(name) for name in LIBRARIES])).encode())
    for path in sorted(paths.PACKAGE.rglob("*.py")):
        state.update(path.name.encode() + path.read_bytes())
    return state.hexdigest()


def _version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _keep(file: Path, content: dict[str, Any]) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, content)
    except OSError as reason:
        log.debug("%s cannot be written: %s", file, reason)

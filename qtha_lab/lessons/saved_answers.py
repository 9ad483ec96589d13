"""Accepted answers, builds and predictions of a reader, stored in the folder `my`.

`my/lesson_03.py` holds accepted code and can be imported. `my/progress.json` holds predictions and
attempts. The folder is beside the notebook, or where `QTHA_LAB_MY` says. A script stores nothing.
"""

import logging
import os
import re
import time
from pathlib import Path
from typing import Any, Literal

from qtha_lab.core import locks
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, move, read, read_mapping, write_atomically, write_json
from qtha_lab.core.paths import own_work_dir, working_folder
from qtha_lab.core.reader_page import in_notebook
from qtha_lab.lessons.answer_source import source_of

log = logging.getLogger(__name__)

Kind = Literal["predictions", "exercises", "builds"]
KINDS: tuple[Kind, ...] = ("predictions", "exercises", "builds")
FOLDER, PROGRESS = "my", "progress.json"
MOST_CHARACTERS = 100_000  # of one accepted answer
PATIENCE = 5.0  # seconds to wait for another kernel that writes
SECTION = re.compile(r"^# ---- ", re.MULTILINE)
_unsaved: dict[str, dict[str, dict[str, Any]]] = {}


def folder() -> Path | None:
    """Return the folder of the reader's work; None where nothing is stored."""
    return own_work_dir() or (working_folder() / FOLDER if in_notebook() else None)


def entries(kind: Kind) -> dict[str, dict[str, Any]]:
    """Return all stored entries of a kind, by number."""
    place = folder()
    stored = _unsaved if place is None else read_mapping(place / PROGRESS) or {}
    found = stored.get(kind, {})
    return found if isinstance(found, dict) else {}


def entry(kind: Kind, number: str) -> dict[str, Any]:
    """Return the stored entry of a number; empty without one.

    Args:
        kind: "predictions", "exercises" or "builds".
        number: Number of the prediction, exercise or build.
    """
    found = entries(kind).get(number, {})
    return found if isinstance(found, dict) else {}


def store(kind: Kind, number: str, **changes: Any) -> None:
    """Add values and the date to an entry; log a read-only folder.

    Args:
        kind: "predictions", "exercises" or "builds".
        number: Number of the prediction, exercise or build.
        changes: New values of the entry.
    """
    place = folder()
    if place is None:
        _unsaved.setdefault(kind, {}).setdefault(number, {}).update(changes)
        return

    def write() -> None:
        file = place / PROGRESS
        found = read_mapping(file)
        if found is None and file.exists():
            move(file, file.with_suffix(".damaged.json"))
        of_kind = entries(kind)
        of_kind[number] = {**entry(kind, number), **changes, "date": today()}
        write_json(file, {**(found or {}), kind: of_kind})

    _locked(place, write)


def count_attempt(kind: Kind, number: str, is_done: bool) -> int:
    """Add one attempt to an entry, and return their number; one done once stays done.

    Args:
        kind: "exercises" or "builds".
        number: Number of the exercise or build.
        is_done: True if this attempt was accepted.
    """
    before = entry(kind, number)
    attempts = before.get("attempts")
    count = attempts + 1 if isinstance(attempts, int) else 1
    store(kind, number, attempts=count, done=is_done or before.get("done") is True)
    return count


def store_code(number: str, name: str, value: Any) -> None:
    """Write an accepted answer to the lesson's file; its earlier version is replaced.

    Args:
        number: Number of the exercise or build.
        name: Variable that holds the answer.
        value: The answer; one without source text is not stored.
    """
    place = folder()
    code = _source(name, value) if place else None
    if place is None or code is None:
        return
    file = place / lesson_file(number)

    def write() -> None:
        before = read(file) if file.exists() else _opening(number)
        write_atomically(file, with_section(before, number, code))

    _locked(place, write)


def with_section(text: str, number: str, code: str) -> str:
    """Return a lesson's file with one section replaced or added.

    Args:
        text: Present text of the file.
        number: Number of the exercise or build.
        code: Accepted code.
    """
    starts = [found.start() for found in SECTION.finditer(text)]
    ends = [*starts, len(text)][1:]
    head = text[: starts[0]] if starts else text
    own = f"# ---- {number} · "
    kept = [text[a:b] for a, b in zip(starts, ends, strict=True) if not text[a:b].startswith(own)]
    section = f"{own}{today()}\n\n{code.strip()}\n"
    return "\n\n\n".join(part.strip("\n") for part in [head, *kept, section]) + "\n"


def lesson_file(number: str) -> str:
    """Return the name of the file of a lesson.

    Example:
        >>> lesson_file("3.2"), lesson_file("1.lora")
        ('lesson_03.py', 'lesson_01.py')
    """
    return f"lesson_{int(number.split('.')[0]):02}.py"


def today() -> str:
    """Return date and time in UTC, as in `2026-11-30 05:12`."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime())


def _source(name: str, value: Any) -> str | None:
    """Return the code of an answer; None without one, or if it is too long."""
    try:
        code = source_of(name, value)
    except Exception as problem:  # an object of the reader may raise anything
        log.debug("%s has no source: %r", name, problem)
        return None
    return code if code is not None and len(code) <= MOST_CHARACTERS else None


def _opening(number: str) -> str:
    lesson = int(number.split(".")[0])
    return (
        f'"""Accepted answers and builds of lesson {lesson}.\n\n'
        "Each section is replaced when a newer answer to its number is accepted.\n"
        '"""\n'
    )


def _locked(place: Path, write: Any) -> None:
    """Write under the lock of the folder, which several kernels may share."""
    try:
        make_folder(place)
        descriptor = locks.hold(place / ".lock", PATIENCE)
        try:
            write()
        finally:
            if descriptor is not None:
                os.close(descriptor)
    except (OSError, Refusal) as reason:
        log.warning("%s is not written: %s", place, reason)

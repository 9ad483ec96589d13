"""Predictions of a class in a shared folder, and the lecturer's page with their histograms.

Taking part is opt-in: only `share_progress` copies anything, under the name that is typed. It
copies predictions and states, and no code. There is no server.
"""

import logging
import re
import secrets
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping, shortened, whole_number, write_json
from qtha_lab.core.paths import own_work_dir, working_folder
from qtha_lab.lessons.kit.markup import write_page
from qtha_lab.lessons.predictions import PREDICTIONS, SKIP, Prediction
from qtha_lab.lessons.questions import as_text
from qtha_lab.lessons.saved_answers import FOLDER, KINDS, PROGRESS

log = logging.getLogger(__name__)
NAME = re.compile(r"[\w][\w .-]{0,39}")
SUFFIX = ".progress.json"
BINS = 8  # of a histogram of numbers
PAGE = "classroom.html"


@dataclass(frozen=True)
class Histogram:
    """Answers of a class to one prediction.

    Attributes:
        declared: Prediction.
        counts: Answers and how often each was given, in the order of the options.
        skipped: Students who skipped it.
    """

    declared: Prediction
    counts: tuple[tuple[str, int], ...]
    skipped: int

    @property
    def most(self) -> int:
        """Largest count."""
        return max((count for _, count in self.counts), default=0)


def share_progress(folder: Path, name: str = "") -> Path:
    """Copy this reader's predictions and progress into a shared folder.

    Args:
        folder: Shared folder, which must exist.
        name: Name that the reader types; without one the copy gets a random number.

    Returns:
        The copy; a later copy under the same name replaces it.

    Raises:
        Refusal: If the folder or the progress is missing, or the name is no file name.
    """
    if not folder.is_dir():
        raise Refusal(f"FOLDER must exist and be shared, got {shortened(folder)}.")
    if name and not NAME.fullmatch(name):
        raise Refusal(f"name must be letters, digits, space, . or -, got {shortened(repr(name))}.")
    source = (own_work_dir() or working_folder() / FOLDER) / PROGRESS
    progress = read_mapping(source)
    if progress is None:
        raise Refusal(f"{shortened(source)} has no progress of yours. Answer a prediction first.")
    copy = folder / f"{name or 'anonymous-' + secrets.token_hex(4)}{SUFFIX}"
    write_json(copy, {kind: progress.get(kind, {}) for kind in KINDS})
    return copy


def histograms(folder: Path) -> list[Histogram]:
    """Return the histograms of all predictions that somebody answered or skipped.

    Args:
        folder: Shared folder; damaged copies are left out.
    """
    answers: dict[str, list[Any]] = {}
    for _, progress in _copies(folder):
        for number, entry in _entries(progress, "predictions").items():
            if number in PREDICTIONS and entry.get("answer") is not None:
                answers.setdefault(number, []).append(entry["answer"])
    return [_histogram(PREDICTIONS[number], answers[number]) for number in sorted(answers)]


def places(folder: Path) -> list[tuple[str, int, int]]:
    """Return name, latest lesson and number of accepted answers of every student."""
    rows = []
    for name, progress in _copies(folder):
        of_all = {n: e for kind in KINDS for n, e in _entries(progress, kind).items()}
        latest = max(of_all, key=lambda n: str(of_all[n].get("date", "")), default="0.")
        lesson = latest.split(".")[0]
        done = sum(entry.get("done") is True for entry in of_all.values())
        rows.append((name, whole_number(lesson) or 0, done))
    return sorted(rows)


def write_classroom(folder: Path) -> Path:
    """Write the lecturer's page into the shared folder, and return it.

    Raises:
        Refusal: If the folder does not exist.
    """
    if not folder.is_dir():
        raise Refusal(f"FOLDER must exist and be shared, got {shortened(folder)}.")
    values = {"histograms": histograms(folder), "places": places(folder)}
    return write_page(folder / PAGE, "classroom", **values)


def _copies(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    files = sorted(folder.glob(f"*{SUFFIX}"))
    read = ((file.name.removesuffix(SUFFIX), read_mapping(file)) for file in files)
    return [(name, progress) for name, progress in read if progress is not None]


def _entries(progress: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    found = progress.get(kind)
    entries = found if isinstance(found, dict) else {}
    return {number: entry for number, entry in entries.items() if isinstance(entry, dict)}


def _histogram(declared: Prediction, answers: list[Any]) -> Histogram:
    valid = [answer for answer in answers if answer != SKIP and _is_answer(declared, answer)]
    skipped = sum(answer == SKIP for answer in answers)
    if declared.options:
        counts = Counter(map(str, valid))
        return Histogram(declared, tuple((o, counts[o]) for o in declared.options), skipped)
    values = [answer[-1] if declared.sketch else answer for answer in valid]
    return Histogram(declared, tuple(_bins(list(map(float, values)))), skipped)


def _is_answer(declared: Prediction, answer: Any) -> bool:
    try:
        declared.read(answer)
    except Refusal as refused:
        log.debug("an answer is left out: %s", refused)
        return False
    return True


def _bins(values: list[float]) -> list[tuple[str, int]]:
    """Return counts of equal values, or of equal ranges where the values are many."""
    if len(set(values)) <= BINS:
        return [(as_text(value), count) for value, count in sorted(Counter(values).items())]
    low, width = min(values), (max(values) - min(values)) / BINS
    counts = Counter(min(BINS - 1, int((value - low) / width)) for value in values)
    ends = [as_text(low + n * width) for n in range(BINS + 1)]
    return [(f"{ends[n]} to {ends[n + 1]}", counts[n]) for n in range(BINS)]

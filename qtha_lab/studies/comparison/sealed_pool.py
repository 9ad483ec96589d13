"""Openings of the sealed test pools: one for each claim.

A claim is confirmed on rows on which nothing was chosen. `sealed-pool.jsonl` in the user's state
folder has a line for each opening. A comparison that continues opens nothing again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, make_folder, parse_json, read
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.description import ModelTask

log = logging.getLogger(__name__)
FIELDS = {"task", "model", "methods", "by", "date"}


def open_sealed_pool(comparison: Comparison) -> None:
    """Record that a comparison tests on sealed rows; ignore other comparisons.

    Raises:
        Refusal: If there are too few seeds, or an earlier comparison opened the pool for the same
            claim.
    """
    if not comparison.training.sealed:
        return
    from qtha_lab.studies.comparison.paired import LEAST_SEEDS  # lists of runs load no SciPy

    if len(comparison.seeds) < LEAST_SEEDS:
        raise Refusal(
            f"seeds must be at least {LEAST_SEEDS} with sealed, got {len(comparison.seeds)}: the "
            "pool opens once, and an interval needs them."
        )
    opened = list(_opened())
    new = [_opening(comparison, pair) for pair in comparison.model_tasks]
    for opening in new:
        for earlier in opened:
            if _claim(earlier) == _claim(opening) and earlier["by"] != opening["by"]:
                raise Refusal(
                    f"The sealed pool of {opening['task']} must open once for each claim, got a "
                    f"second comparison of {', '.join(opening['methods'])} on {opening['model']} "
                    f"after that of {earlier['date']}. Continue that one, or test on the open pool."
                )
    _write(opening for opening in new if not any(e["by"] == opening["by"] for e in opened))


def openings(task: str) -> int:
    """Count the claims for which this user opened the sealed pool of a task."""
    return sum(opening["task"] == task for opening in _opened())


def sealed_sentences(comparison: Comparison) -> list[str]:
    """State the openings of each task's pool; no sentence for a comparison on open rows."""
    if not comparison.training.sealed:
        return []
    tasks = dict.fromkeys(_task(pair) for pair in comparison.model_tasks)
    return [
        f"Tested on the sealed pool of {task}, which was opened for {count} "
        f"{'claim' if count == 1 else 'claims'} so far."
        for task in tasks
        if (count := openings(task))
    ]


def _opening(comparison: Comparison, pair: ModelTask) -> dict[str, Any]:
    return {
        "task": _task(pair),
        "model": pair.model,
        "methods": sorted(method.label for method in comparison.methods),
        "by": hashlib.sha256(repr(comparison.model_dump()).encode()).hexdigest(),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _task(pair: ModelTask) -> str:
    return str(pair).partition(", ")[2]


def _claim(opening: dict[str, Any]) -> tuple[Any, ...]:
    return opening["task"], opening["model"], opening["methods"]


def _file() -> Path:
    return paths.state_dir() / "sealed-pool.jsonl"


def _opened() -> Iterator[dict[str, Any]]:
    """Yield the recorded openings; skip other lines."""
    if not _file().is_file():
        return
    for line in read(_file()).splitlines():
        try:
            opening = parse_json(line)
        except Refusal as reason:
            log.warning("%s has a line that is no opening: %s", _file(), reason)
            continue
        if isinstance(opening, dict) and opening.keys() >= FIELDS:
            yield opening


def _write(new: Iterable[dict[str, Any]]) -> None:
    """Append openings in one write, so that a kill leaves whole lines."""
    make_folder(_file().parent)
    with append_shared(_file()) as file:
        file.write("".join(json.dumps(opening) + "\n" for opening in new).encode())

"""Sentences on the comparison protocol: matching, tuning and their results.

A claim is confirmed on rows on which nothing was chosen. `sealed-pool.jsonl` in the user's state
folder has a line for each opening. A comparison that continues opens nothing again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core import call_syntax, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import append_shared, make_folder, parse_json, read
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.axes import Axis
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import notes

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

NOT_TUNED = "not tuned"
Record = dict[str, Any]


def protocol_sentences(
    comparison: Comparison, contenders: Sequence[Record], runs: pandas.DataFrame
) -> dict[ModelTask, list[str]]:
    """Return the sentences on matching and tuning, by (model, task) pair."""
    frame = results_frame(runs)
    return {
        model_task: [
            *sealed_sentences(comparison),
            *matching(comparison, records, frame[frame["model_task"].eq(model_task)]),
            *tuning(comparison, records, frame[frame["model_task"].eq(model_task)]),
        ]
        for model_task, records in by_model_task(contenders).items()
    }


def matching(
    comparison: Comparison, contenders: Sequence[Record], runs: pandas.DataFrame
) -> list[str]:
    """State the matching rule and its result for one (model, task) pair.

    Returns no sentence if matching is "as_given".
    """
    if comparison.matching == "as_given" or not contenders:
        return []
    words = {
        "equal_r": "Matched by equal r",
        "equal_parameters": "Matched by trained parameters, none above the first",
        "equal_seconds": (
            "Matched by training seconds, as the steps that fit into those of the first"
        ),
    }
    outcome = matches(comparison.matching, contenders, runs)
    each = ", ".join(f"{name} {text}" for name, text in outcome.items())
    return [f"{words[comparison.matching]}: {each}."]


def matches(rule: str, contenders: Sequence[Record], runs: pandas.DataFrame) -> dict[str, str]:
    """Return the matched quantity of each method, by label."""
    runs = results_frame(runs)
    names = [record["method"] for record in contenders]
    if rule == "equal_seconds":
        return {record["method"]: f"{record['steps']:,} steps" for record in contenders}
    if rule == "equal_r":
        rs = {n: (o or {}).get("r") for n, o in zip(runs["family"], runs["options"], strict=True)}
        return {name: f"r = {rs[name] or 'its default'}" for name in names if name in rs}
    counts = runs.set_index("family")["trainable_parameters"].dropna().to_dict()
    first = counts.get(names[0])
    return {
        name: f"{counts[name]:,} parameters" + (f" ({counts[name] / first:.1%})" if first else "")
        for name in names
        if name in counts
    }


def tuning(
    comparison: Comparison, contenders: Sequence[Record], runs: pandas.DataFrame
) -> list[str]:
    """State the tuning and its best points for one (model, task) pair.

    Without tuning, describes the learning rates.
    """
    tuned = comparison.tuning
    if tuned is None:
        return notes.tuning_of(runs, comparison.rates_from)
    seeds = ", ".join(map(str, tuned.seeds))
    won = "; ".join(
        f"{r['declared']} at {call_syntax.write_options(r['point'])}" for r in contenders
    )
    text = (
        f"Tuned by {trials_of(comparison)} trials of each method over {', '.join(tuned.axes)}"
        f" ({tuned.search}), on evaluation rows with {'seed' if len(tuned.seeds) == 1 else 'seeds'}"
        f" {seeds}, and confirmed on others: {won}."
    )
    at_end = [
        f"{record['declared']} ({name})"
        for record in contenders
        for name, value in record["point"].items()
        if _is_end(comparison, name, value)
    ]
    if at_end:
        text += f" At an end of what was tried, so perhaps not the best: {', '.join(at_end)}."
    return [text, *choices_within_noise(contenders)]


def choices_within_noise(contenders: Iterable[Record]) -> list[str]:
    """Name the tuned methods whose second-best point is within the noise of the trials."""
    from qtha_lab.studies.comparison.neighbouring_rates import trial_sentence

    sentences = []
    for record in contenders:
        losses = {at: dict(enumerate(of)) for at, of in record.get("tried", {}).items()}
        best = call_syntax.write_options(record["point"])
        sentences.append(trial_sentence(record["declared"], best, losses))
    return [sentence for sentence in sentences if sentence]


def trials_of(comparison: Comparison) -> int:
    """Return the number of tuning trials per method."""
    sweep = comparison.sweep_of(comparison.contenders()[0])
    return sweep.trials_of(sweep.methods[0])


def _is_end(comparison: Comparison, name: str, value: Any) -> bool:
    """Return True if a tuned number is the least or largest value of its axis."""
    if comparison.tuning is None or isinstance(value, bool) or not isinstance(value, int | float):
        return False
    axis = Axis.of(comparison.tuning.axes.get(name, [value]))
    try:
        values = axis.grid()
    except Refusal:
        log.debug("axis %s is a range that is not cut: it has no last value", name)
        return False
    numbers = [v for v in values if isinstance(v, int | float)]
    return len(numbers) > 1 and value in (min(numbers), max(numbers))


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

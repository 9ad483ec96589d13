"""Runs as rows of one table: identity, state, settings, results and annotations.

Reads records and checks the workers' locks. It loads no method, so a setting at the method's own
default is missing.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from typing import Any

from qtha_lab.core.metrics import MEASURES, with_units
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Experiment, Training
from qtha_lab.experiment.run_directory.disk import bytes_used
from qtha_lab.runs.run import Run

Row = dict[str, Any]
HEAD = ("run", "name", "state", "step", "message", "origin")
ANNOTATIONS = ("tags", "note", "pinned")
SAME = "same"  # key equal for runs that differ only in their seed; not a column
DISK = "disk_mib"
GROUPED = ("runs", "seeds", "members")


def rows(runs: Iterable[Run], disk: bool = False) -> list[Row]:
    """Return one row per run, in the order of the runs.

    Args:
        runs: Runs as returned by `qtha_lab.list_runs`, unreadable ones too.
        disk: Also measure the disk usage of each directory, which reads the size of every file.

    Returns:
        Rows with the columns of `HEAD` and `ANNOTATIONS`, the settings and measures of a run, and
            `disk_mib`.
    """
    defaults = _defaults()
    return [row(run, defaults) | (_disk(run) if disk else {}) for run in runs]


def row(run: Run, defaults: Row | None = None) -> Row:
    """Return the row of one run; `defaults` are the settings that descriptions omit."""
    status = run.status()
    record = run.last_record
    state, message = status.state, status.message
    if state == "finished" and record.flaw:
        message = record.flaw
    annotations, described = record.annotations, dict(record.experiment)
    settings = {} if record.unreadable else {**(defaults or _defaults()), **flat(described)}
    launched_as = settings.pop("name", "")
    summary = {} if record.flaw or not record.summary else record.summary
    numbers = {name: summary[name] for name in MEASURES if summary.get(name) is not None}
    if state == "diverged":  # an evaluation before the divergence is not a result
        numbers = {n: v for n, v in numbers.items() if MEASURES[n].kind == "run"}
    if summary.get("learning_rate") is not None:
        settings["learning_rate"] = summary["learning_rate"]
    return {
        "run": run.id,
        "name": annotations.get("name") or launched_as,
        "state": state,
        "step": status.step,
        "message": message,
        "origin": origin(record.origin),
        **settings,
        **with_units(numbers),
        "tags": annotations.get("tags", []),
        "note": annotations.get("note", ""),
        "pinned": annotations.get("pinned", False),
        SAME: _same(described, run.id),
    }


def flat(described: Row) -> Row:
    """Flatten the settings of a description, by the names of the command-line flags.

    An option of a method or a task with the name of another column is `method.…` or `task.…`.

    Example:
        >>> method = {"name": "lora", "options": {"r": 2}}
        >>> flat({"model": "tiny", "method": method, "training": {"steps": 9}})
        {'model': 'tiny', 'steps': 9, 'method': 'lora', 'r': 2}
    """
    plain = {k: v for k, v in described.items() if not isinstance(v, dict)}
    method = described.get("method", {})
    placed = {k: v for k, v in method.items() if k not in ("name", "options")}
    return {
        **plain,
        **described.get("training", {}),
        **{_own("task", k): v for k, v in described.get("task_options", {}).items()},
        "method": method.get("name"),
        **placed,
        **{_own("method", k): v for k, v in method.get("options", {}).items()},
    }


def origin(fields: Row | None) -> str:
    """Return the origin of a run: `launch`, or the name of its sweep or reproduction.

    Example:
        >>> origin(None), origin({"sweep": "20261125-101500-1a2b", "trial": 3})
        ('launch', 'sweep 20261125-101500-1a2b')
    """
    kinds = (kind for kind in ("sweep", "reproduction") if fields and kind in fields)
    return next((f"{kind} {fields[kind]}" for kind in kinds if fields), "launch")


@functools.cache
def taken() -> frozenset[str]:
    """Return the column names that no option of a method or a task may have."""
    plain = {*Experiment.model_fields, *settings_of(Training), "learning_rate", "target_modules"}
    return frozenset({*plain, *HEAD, *ANNOTATIONS, *MEASURES, *GROUPED, SAME, DISK})


def _own(family: str, option: str) -> str:
    return f"{family}.{option}" if option in taken() else option


def _defaults() -> Row:
    return flat(Experiment().model_dump())


def _same(described: Row, run_id: str) -> str:
    if not described:
        return run_id
    shared = {k: v for k, v in described.items() if k not in ("seed", "name")}
    return json.dumps(shared, sort_keys=True, default=str)


def _disk(run: Run) -> Row:
    return {DISK: round(bytes_used(run.path) / 2**20, 2)}

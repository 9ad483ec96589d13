"""Runs as rows of one table: who they are, where they are, what was set and what came of it.

Reads records and asks which workers live; loads no method, so a setting that was left at the method's own
default is not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qtha_lab.experiment import Experiment
from qtha_lab.measures import MEASURES, with_units
from qtha_lab.rundir.disk import bytes_used
from qtha_lab.runs import Run
from qtha_lab.settings import unknown

Row = dict[str, Any]
HEAD = ("run", "state", "step", "steps", "message", "title", "tags", "note", "pinned", "label")
SHARED = ("model", "task", "method", "seed")


def rows(runs: Iterable[Run], disk: bool = False) -> list[Row]:
    """A row per run, in their order.

    Args:
        runs: As `qtha_lab.list_runs` gives them, unreadable ones too.
        disk: Also measure the bytes that each directory takes, which looks at every file.

    Returns:
        Rows with the keys `HEAD`, settings and measures as far as the run has them, and `disk_mib`.
    """
    defaults = flat(Experiment().model_dump())
    return [_row(run, defaults) | (_disk(run) if disk else {}) for run in runs]


def flat(described: dict[str, Any]) -> dict[str, Any]:
    """The settings of a description by one name each, as the command's flags name them.

    Example:
        >>> flat({"model": "tiny", "method": {"name": "lora", "options": {"r": 2}}, "training": {"steps": 9}})
        {'model': 'tiny', 'steps': 9, 'method': 'lora', 'r': 2}
    """
    plain = {k: v for k, v in described.items() if not isinstance(v, dict)}
    plain |= described.get("task_options", {}) | described.get("training", {})
    method = described.get("method", {})
    chosen = {k: v for k, v in method.items() if k not in ("name", "options")}
    options = {
        f"method.{k}" if k in plain else k: v for k, v in method.get("options", {}).items()
    }
    return plain | {"method": method.get("name")} | chosen | options


def columns(rows: Iterable[Row]) -> list[str]:
    """The columns worth showing: what every run has, settings that differ between runs, measures that there are."""
    rows = list(rows)
    present = dict.fromkeys(name for row in rows for name, value in row.items() if value not in (None, ""))
    measures = [n for n, m in MEASURES.items() if m.column and n in present]
    extra = [n for n in ("title", "tags", "note", "pinned", "message") if any(row.get(n) for row in rows)]
    settings = [n for n in present if n not in {*HEAD, *MEASURES, "disk_mib"} and _differs(n, rows)]
    disk = [n for n in ("disk_mib",) if n in present]
    return ["run", "state", "step", "label", *settings, *measures, *disk, *extra]


def known(rows: Iterable[Row]) -> list[str]:
    """Every name that a filter or an order may use."""
    everywhere = {*HEAD, *SHARED, *MEASURES, *flat(Experiment().model_dump())}
    return sorted(everywhere.union(*rows))


def check_column(name: str, names: Iterable[str]) -> str:
    """The name, if there is such a column.

    Raises:
        Refusal: With the nearest name.
    """
    if name not in names:
        raise unknown("column", name, names)
    return name


def _row(run: Run, defaults: dict[str, Any]) -> Row:
    record, status = run.record, run.status()
    summary = {} if record.flaw or not record.summary else record.summary
    state, message = status.state, status.message
    if state == "finished" and record.flaw:
        state, message = "unreadable", record.flaw
    settings = {} if record.unreadable else defaults | flat(record.experiment)
    numbers = {name: summary[name] for name in MEASURES if summary.get(name) is not None}
    marks = record.marks
    return {
        "run": run.id, "state": state, "step": status.step, "steps": status.steps, "message": message,
        "title": marks.title or settings.pop("name", ""), "tags": list(marks.tags), "note": marks.note,
        "pinned": marks.pinned, "label": record.label, **settings, **with_units(numbers),
    } | ({"learning_rate": summary["learning_rate"]} if summary else {})  # fmt: skip


def _disk(run: Run) -> Row:
    return {"disk_mib": round(bytes_used(run.path) / 2**20, 2)}


def _differs(name: str, rows: list[Row]) -> bool:
    return len({repr(row.get(name)) for row in rows if row["state"] != "unreadable"}) > 1

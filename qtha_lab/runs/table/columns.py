"""The columns of a table of runs, a default selection, and the format of cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES, written
from qtha_lab.core.settings import nearest
from qtha_lab.runs.table.rows import ANNOTATIONS, DISK, GROUPED, HEAD, SAME, Row, taken

RESULTS, SIZES = ("eval_loss", "accuracy"), ("trainable_parameters", "wall_seconds")
SPREAD = ("_min", "_max")
NOTHING = (None, "", [], False)


def known(rows: Iterable[Row]) -> set[str]:
    """Return every column that a filter or a sort order may name."""
    return set(taken()).union(*rows) - {SAME}


def check_column(name: str, names: Collection[str]) -> str:
    """Return the name, if there is such a column.

    Raises:
        Refusal: If not; the message names the nearest column.
    """
    if name not in names:
        close = nearest(name, names)
        hint = f"Did you mean {close!r}?" if close else f"Known: {', '.join(sorted(names))}"
        raise Refusal(f"column must be one of the table, got {name!r:.60}. {hint}")
    return name


def present(rows: Iterable[Row]) -> list[str]:
    """Return every column with a value in some row: identity, settings, measures, annotations."""
    names: dict[str, None] = {}
    for row in rows:
        names |= {n: None for n, v in row.items() if n not in names and v not in NOTHING}
    names.pop(SAME, None)
    order = [*HEAD, *GROUPED[:2]]
    last = [*MEASURES, DISK, *ANNOTATIONS, *GROUPED[2:]]
    settings = [n for n in names if n not in {*order, *last} and not is_spread(n)]
    measures = [[n, *(n + end for end in SPREAD)] for n in last]
    return [n for n in [*order, *settings, *(n for part in measures for n in part)] if n in names]


def worth_showing(rows: list[Row]) -> list[str]:
    """Return the default columns of a table.

    These are identity, state, method, results, the settings that differ, sizes, tags and notes.
    """
    names, different = present(rows), differing(rows)
    settings = [n for n in names if n in different and n not in ("method", "seed")]
    seed = ["seed"] if "seed" in different else []
    results, sizes = ([n for n in of if n in names] for of in (RESULTS, (*SIZES, DISK)))
    annotations = [n for n in ("tags", "note") if n in names]
    who = [n for n in ("run", "name", "runs", "seeds") if n in names]
    return [*who, "state", "method", *results, *settings, *seed, *sizes, *annotations]


def differing(rows: Iterable[Row]) -> set[str]:
    """Return the settings that differ between rows."""
    rows = [row for row in rows if row["state"] != "unreadable"]
    fixed = {*HEAD, *ANNOTATIONS, *MEASURES, *GROUPED, SAME, DISK}
    names = {name for row in rows for name in row if not is_spread(name)} - fixed
    return {name for name in names if _differs(row.get(name) for row in rows)}


def column_text(row: Row, column: str) -> str:
    """Format a cell; a mean over seeds is followed by [minimum–maximum].

    Example:
        >>> column_text({"eval_loss": 4.5, "eval_loss_min": 4.0, "eval_loss_max": 5.0}, "eval_loss")
        '4.500 [4.000–5.000]'
        >>> column_text({"tags": ["best", "warm"]}, "tags")
        'best, warm'
    """
    low, high = (row.get(f"{column}{end}") for end in SPREAD)
    cell = _text(row.get(column), column)
    if low is None or low == high:
        return cell
    return f"{cell} [{_text(low, column)}–{_text(high, column)}]"


def is_spread(name: str) -> bool:
    """Return True if a column is the minimum or maximum of a measure over seeds."""
    return name.removesuffix("_min").removesuffix("_max") in MEASURES and name not in MEASURES


def _text(value: Any, column: str) -> str:
    if value is None or value is False:
        return ""
    if column in MEASURES and isinstance(value, int | float):
        return f"{value:,}" if isinstance(value, int) else written(MEASURES[column], value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else str(value)


def _differs(values: Iterable[Any]) -> bool:
    first, *others = [v if v.__hash__ else repr(v) for v in values] or [None]
    return any(other != first for other in others)

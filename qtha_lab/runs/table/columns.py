"""Columns of the frame of runs: names, a default selection, and texts.

Measures are declared in `core.metrics`. Every other column is a setting of the description.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES, written
from qtha_lab.core.settings import nearest, settings_of
from qtha_lab.experiment import Experiment, Training

if TYPE_CHECKING:
    import pandas

HEAD = ("run", "name", "state", "step", "message", "origin")
ANNOTATIONS = ("tags", "note", "pinned")
GROUPED = ("runs", "seeds", "members")
DISK = "disk_mib"
SAME = "same"  # text that is equal for runs that differ only in their seed
HIDDEN = (SAME, "path")
SPREAD = ("_min", "_max")
RESULTS, SIZES = ("eval_loss", "accuracy"), ("trainable_parameters", "wall_seconds")
NOTHING = (None, "", [], False)
FACTS = ("run_id", "label", "family", "model_task", "model", "task", "task_options", "method",
         "options", "target_modules", "quantization", "head", "seed", "learning_rate", "state",
         "message", "threads", "side_by_side", "split_key", "missing_labels")  # fmt: skip
"""Columns of a summary's frame besides the measures."""


@functools.cache
def taken() -> frozenset[str]:
    """Return the column names that no option of a method or a task may have."""
    plain = {*Experiment.model_fields, *settings_of(Training), "learning_rate", "target_modules"}
    return frozenset({*plain, *HEAD, *ANNOTATIONS, *MEASURES, *GROUPED, *HIDDEN, DISK})


def known(table: pandas.DataFrame) -> set[str]:
    """Return every column that a filter or a sort order may name."""
    return {*taken(), *table.columns} - {*HIDDEN}


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


def in_order(names: Iterable[str]) -> list[str]:
    """Sort columns: identity, settings, measures with their ends, annotations."""
    names = dict.fromkeys(names)
    last = [*MEASURES, DISK, *ANNOTATIONS, GROUPED[2]]
    ends = [each for name in last for each in (name, *(name + end for end in SPREAD))]
    first = [*HEAD, *GROUPED[:2]]
    order = [*first, *(name for name in names if name not in {*first, *ends}), *ends]
    return [name for name in order if name in names]


def settings_in(table: pandas.DataFrame) -> list[str]:
    """Return the columns that are settings, the seed included."""
    fixed = {*HEAD, *ANNOTATIONS, *MEASURES, *GROUPED, *HIDDEN, DISK}
    ends = {name + end for name in MEASURES for end in SPREAD}
    return [name for name in table.columns if name not in fixed | ends]


def present(table: pandas.DataFrame) -> list[str]:
    """Return every column with a value in some row: identity, settings, measures, annotations."""
    return [n for n in table.columns if n not in HIDDEN and _has_value(table[n])]


def worth_showing(table: pandas.DataFrame) -> list[str]:
    """Return the default columns of a table.

    These are identity, state, method, results, the settings that differ, sizes, tags and notes.
    """
    names, different = present(table), differing(table)
    settings = [n for n in names if n in different and n not in ("method", "seed")]
    seed = ["seed"] if "seed" in different else []
    results, sizes = ([n for n in of if n in names] for of in (RESULTS, (*SIZES, DISK)))
    annotations = [n for n in ("tags", "note") if n in names]
    who = [n for n in ("run", "name", "runs", "seeds") if n in names]
    return [*who, "state", "method", *results, *settings, *seed, *sizes, *annotations]


def differing(table: pandas.DataFrame) -> list[str]:
    """Return the settings that differ between readable runs; a missing value counts as one."""
    readable = table[table["state"] != "unreadable"]
    return [name for name in settings_in(table) if len(distinct(readable[name])) > 1]


def distinct(column: pandas.Series) -> list[Any]:
    """Return the different values of a column, in order; lists and mappings as text."""
    return list(dict.fromkeys(v if v.__hash__ else repr(v) for v in column))


def column_text(row: Mapping[str, Any], column: str) -> str:
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


def _has_value(column: pandas.Series) -> bool:
    return any(value not in NOTHING for value in column)


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

"""Rows in an order, and rows of one description as one, whatever their seeds."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from qtha_lab.catalog.filters import where
from qtha_lab.catalog.rows import HEAD, Row, check_column, known
from qtha_lab.measures import MEASURES


def query(rows: list[Row], expression: str = "", order: str = "", *, grouped: bool = False) -> list[Row]:
    """The rows that an expression means, in an order.

    Args:
        rows: As `qtha_lab.catalog.rows.rows` gives them.
        expression: See `qtha_lab.catalog.filters.where`.
        order: Columns, the first counts most: `eval_loss`, or `-seed,eval_loss` from large to small;
            empty leaves the order. What has no value comes last.
        grouped: Take finished runs that differ in their seed only as one.

    Raises:
        Refusal: If the expression or the order names no column.
    """
    names = known(rows)
    test = where(expression, names)
    chosen = [row for row in rows if test(row)]
    if grouped:
        chosen = groups(chosen)
        names = sorted({*names, *(name for row in chosen for name in row)})
    for key in reversed([part.strip() for part in order.split(",") if part.strip()]):
        name = check_column(key.removeprefix("-"), names)
        valued = [row for row in chosen if row.get(name) is not None]
        valued.sort(key=lambda row: _rank(row[name]), reverse=key.startswith("-"))
        chosen = valued + [row for row in chosen if row.get(name) is None]
    return chosen


def groups(rows: Iterable[Row]) -> list[Row]:
    """One row for all finished runs of one description: means of the measures, with least and most, and a count.

    Example:
        >>> pair = [{"run": i, "state": "finished", "label": "lora", "seed": i, "eval_loss": 4.0 + i} for i in (0, 1)]
        >>> groups(pair)
        [{'label': 'lora', 'runs': 2, 'seeds': '0, 1', 'eval_loss': 4.5, 'eval_loss_min': 4.0, 'eval_loss_max': 5.0}]
    """
    members: dict[str, list[Row]] = {}
    for row in rows:
        if row["state"] == "finished":
            members.setdefault(repr(sorted(_described(row).items())), []).append(row)
    return [_group(part) for part in members.values()]


def _described(row: Row) -> Row:
    """What a row was asked for, without who it is and what came of it."""
    left_out = {*HEAD, *MEASURES, "seed", "disk_mib"} - {"label"}
    return {name: value for name, value in row.items() if name not in left_out}


def _group(rows: list[Row]) -> Row:
    seeds = ", ".join(str(seed) for seed in sorted({row["seed"] for row in rows}))
    group = _described(rows[0]) | {"runs": len(rows), "seeds": seeds}
    for name, measure in MEASURES.items():
        values = [row[name] for row in rows if row.get(name) is not None]
        if values:
            group[name] = statistics.fmean(values) if len(set(values)) > 1 else values[0]
            if measure.learnt:
                group |= {f"{name}_min": min(values), f"{name}_max": max(values)}
    return group


def _rank(value: Any) -> tuple[int, Any]:
    """Numbers before text before lists, each in its own order."""
    if isinstance(value, int | float):
        return 0, value
    return (1, value) if isinstance(value, str) else (2, repr(value))

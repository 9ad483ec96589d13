"""Sorting of rows by several columns, ascending or descending."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from qtha_lab.runs.table.columns import check_column
from qtha_lab.runs.table.rows import Row


def ordered(rows: list[Row], order: str, names: Collection[str]) -> list[Row]:
    """Sort rows by columns; the sort is stable, and missing values come last.

    Args:
        rows: Rows in any order.
        order: Columns, the first counts most: `eval_loss`, or `-seed,eval_loss` with the largest
            seed first; "" leaves the order.
        names: The existing columns.

    Raises:
        Refusal: If there is no such column.

    Example:
        >>> rows = [{"r": 2, "seed": 0}, {"r": 8, "seed": 0}, {"r": 2, "seed": 1}, {}]
        >>> ordered(rows, "-seed, r", ["r", "seed"])
        [{'r': 2, 'seed': 1}, {'r': 2, 'seed': 0}, {'r': 8, 'seed': 0}, {}]
    """
    for key in reversed([part.strip() for part in order.split(",") if part.strip()]):
        name = check_column(key.removeprefix("-"), names)
        valued = [row for row in rows if row.get(name) not in (None, "")]
        others = [row for row in rows if row.get(name) in (None, "")]
        valued.sort(key=lambda row: _rank(row[name]), reverse=key.startswith("-"))
        rows = valued + others
    return rows


def _rank(value: Any) -> tuple[int, Any]:
    """Return a sort key: numbers before texts before lists, each in its own order."""
    if isinstance(value, int | float):
        return 0, value
    return (1, value.lower()) if isinstance(value, str) else (2, repr(value))

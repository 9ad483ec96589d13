"""Cells and columns of the table of runs: text, width and kind."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from qtha_lab.runs.table.columns import column_text

from .runs_grid import Column, GridRow

EDITABLE = ("name", "tags", "note")
WRONG = ("dead", "failed", "diverged", "unreadable")
WIDEST = 40  # characters


def grid_row(row: Mapping[str, Any], names: Sequence[str]) -> GridRow:
    """Return a row of the grid with the text of its cells."""
    cells = tuple(cell_text(row, name) for name in names)
    return GridRow(ids_of(row), cells, bool(row.get("pinned")), row["state"] in WRONG)


def ids_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ids of the runs that a row represents."""
    return tuple(row["members"] or (row["run"],))


def cell_text(row: Mapping[str, Any], name: str) -> str:
    """Format a cell; a running run shows its progress."""
    cell = column_text(row, name)
    if name == "state" and row.get("step") and row.get("steps") and cell == "running":
        return f"running {row['step']}/{row['steps']}"
    return cell


def plain_value(value: Any) -> Any:
    """Convert a cell to a plain value; a list becomes comma-separated text."""
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value


def column_of(name: str, sample: Iterable[Mapping[str, Any]]) -> Column:
    """Return a column as wide as its cells, within bounds."""
    cells = [cell_text(row, name) for row in sample]
    least = 16 if name in (*EDITABLE, "state") else 4
    width = min(WIDEST, max([len(name) + 3, least, *(len(cell) + 2 for cell in cells)]))
    numbers = [row.get(name) for row in sample if row.get(name) is not None]
    numeric = bool(numbers) and all(
        isinstance(n, int | float) and not isinstance(n, bool) for n in numbers
    )
    return Column(name, width, numeric, name in EDITABLE)

"""A table of many rows, of which a page holds only the visible ones.

The page requests missing rows, and receives changed ones. This module does not depend on runs: a
row has ids, texts and flags. The panel around it is `widgets.runs.runs_table`. ipywidgets has no
table.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from qtha_lab.core.io import read

from ..figures.figure_widget import CSS

MOST_ROWS = 200  # per message, on request of a page


@dataclass(frozen=True)
class Column:
    """A column: its name, its width in characters, and flags.

    The flags state whether it is numeric, editable and sortable.
    """

    name: str
    width: int
    numeric: bool = False
    editable: bool = False
    sortable: bool = True


@dataclass(frozen=True)
class GridRow:
    """A row: the run ids that it represents, a text per column, and flags."""

    ids: tuple[str, ...]
    cells: tuple[str, ...]
    pinned: bool = False
    wrong: bool = False
    heading: bool = False

    def plain(self) -> list:
        """Return the row in the format of the page."""
        flags = int(self.pinned), int(self.wrong), int(self.heading)
        return [list(self.ids), list(self.cells), *flags]


class RunsGrid(anywidget.AnyWidget):
    """A grid of numbered rows; a page receives the visible rows and their changes.

    `itables.widget.ITable` (2.9) was tried. It sends the whole table again for one changed row,
    reports row numbers only (no click on a line, pin or log), cannot edit a cell, and ticks no
    group.

    Args:
        act: Called with a user's action in the table: its name, the ids of the row, a value.
        on_look: Called about once per second of an open page, to find changes.

    Example:
        >>> grid = RunsGrid()
        >>> grid.show([Column("name", 9)], [("a",)], lambda number: GridRow(("a",), ("lora",)))
        >>> grid.count, grid.columns[0]["name"], grid.rows(0, 9)
        (1, 'name', [[0, ['a'], ['lora'], 0, 0, 0]])
    """

    _esm = read(Path(__file__).with_name("runs_grid.js"))
    _css = CSS
    columns = traitlets.List(traitlets.Dict()).tag(sync=True)
    count = traitlets.Int(0).tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)
    """Number of the table, which rises with other columns, rows or another order."""
    ticked = traitlets.List(traitlets.Unicode()).tag(sync=True)
    colors = traitlets.Dict().tag(sync=True)
    """Symbol and colour of the line of each drawn run, by id."""
    hidden = traitlets.List(traitlets.Unicode()).tag(sync=True)
    """The ids of drawn runs without a visible line."""
    sort = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode("runs").tag(sync=True)

    def __init__(
        self,
        act: Callable[[str, list[str], str], None] = lambda action, ids, value: None,
        on_look: Callable[[], None] = lambda: None,
    ):
        self.lock = threading.RLock()
        self.ids: list[tuple[str, ...]] = []
        self.row_at: Callable[[int], GridRow] = lambda index: GridRow((), ())
        self.sent: dict[int, GridRow] = {}
        self.act, self.on_look = act, on_look
        super().__init__()
        self.on_msg(self._answer)

    def show(
        self,
        columns: Sequence[Column],
        ids: Sequence[tuple[str, ...]],
        row_at: Callable[[int], GridRow],
        changed: Iterable[int] = (),
    ) -> None:
        """Show these rows; for the same rows in the same order, send only the differences.

        Args:
            columns: The columns of all rows.
            ids: The run ids that each row represents.
            row_at: Returns the row of a number; called when a page needs the row.
            changed: Numbers of the rows that may differ from the displayed ones.
        """
        plain = [asdict(column) for column in columns]
        with self.lock:
            self.row_at = row_at
            if plain != self.columns or list(ids) != self.ids:
                self.ids, self.sent = list(ids), {}
                with self.hold_sync():
                    self.columns, self.count = plain, len(self.ids)
                    self.version += 1
            else:
                self._send_changes(changed)

    def _send_changes(self, changed: Iterable[int]) -> None:
        fresh = {index: self.row_at(index) for index in changed if index in self.sent}
        news = {index: row for index, row in fresh.items() if row != self.sent[index]}
        self.sent |= fresh
        if news:
            self._send_rows([[index, *row.plain()] for index, row in news.items()])

    def rows(self, first: int, last: int) -> list[list[Any]]:
        """Return the rows of a range of numbers in the format of the page."""
        with self.lock:
            numbers = range(max(0, first), max(0, min(last, self.count, first + MOST_ROWS)))
            self.sent |= {index: self.row_at(index) for index in numbers}
            return [[index, *self.sent[index].plain()] for index in numbers]

    def _send_rows(self, rows: list[list[Any]]) -> None:
        self.send({"kind": "rows", "version": self.version, "rows": rows})

    def _answer(self, _: Any, question: dict[str, Any], _buffers: list) -> None:
        """Handle a page's message: a request for rows, a look or an action."""
        if question["kind"] == "do":
            action, value = question["action"], str(question.get("value", ""))
            self.act(action, list(question["ids"]), value)
        elif question["kind"] == "rows":
            with self.lock:
                self._send_rows(self.rows(int(question["from"]), int(question["to"])))
        elif question["kind"] == "look":
            self.on_look()
            self.send({"kind": "looked"})

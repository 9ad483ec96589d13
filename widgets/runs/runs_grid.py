"""A table of many rows, of which a page holds only the visible ones.

The page requests missing and changed rows. This module does not depend on runs: a row has ids,
texts and flags. The panel around it is `widgets.runs.runs_table`.
ipywidgets has no table.
"""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anywidget
import traitlets

from ..kit.page_module import PageModule

MOST_ROWS = 200  # per message, on request of a page
MOST_BYTES = 4500  # of changed rows per message; the rest follows


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


class RunsGrid(PageModule, anywidget.AnyWidget):
    """A grid of numbered rows; a page receives the visible rows and their changes.

    Args:
        act: Called with a user's action in the table: its name, the ids of the row, a value.
        on_look: Called at each poll of a page, at most twice a second per page, to find changes.
    """

    MODULE = ("runs_grid.js",)
    ticked = traitlets.List(traitlets.Unicode()).tag(sync=True)
    sort = traitlets.Unicode().tag(sync=True)
    label = traitlets.Unicode("runs").tag(sync=True)

    def __init__(self, act: Callable[[str, list[str], str], None], on_look: Callable[[], None]):
        self.lock, self.version, self.number, self.live = threading.RLock(), 0, 0, False
        self.columns: list[Column] = []
        self.ids: list[tuple[str, ...]] = []
        self.row_at: Callable[[int], GridRow] = lambda index: GridRow((), ())
        self.sent: dict[int, GridRow] = {}
        self.changed: dict[int, int] = {}
        self.act, self.on_look = act, on_look
        super().__init__()
        self.on_msg(self._answer)

    def show(
        self,
        columns: Sequence[Column],
        ids: Sequence[tuple[str, ...]],
        row_at: Callable[[int], GridRow],
        changed: Iterable[int],
        live: bool,
    ) -> None:
        """Show these rows; for the same rows in the same order, send only the differences.

        Args:
            columns: The columns of all rows.
            ids: The run ids that each row represents.
            row_at: Returns the row of a number; called when a page needs the row.
            changed: Numbers of the rows that may differ from the displayed ones.
            live: True if rows are going to change without user action.
        """
        with self.lock:
            self.live, self.row_at = live, row_at
            if list(columns) != self.columns or list(ids) != self.ids:
                self.columns, self.ids = list(columns), list(ids)
                self.version += 1
                self.sent, self.changed = {}, {}
                self.send({"kind": "news"})
            elif self._note_changes(changed):
                self.send({"kind": "news"})

    def _note_changes(self, changed: Iterable[int]) -> bool:
        """Number the changed rows that a page holds; return True if any changed."""
        fresh = {index: self.row_at(index) for index in changed if index in self.sent}
        news = [index for index, row in fresh.items() if row != self.sent[index]]
        self.sent |= fresh
        for index in news:
            self.number += 1
            self.changed[index] = self.number
        return bool(news)

    def _answer(self, _, question: dict[str, Any], buffers: list) -> None:
        """Handle a message of a page: a request for rows or a user's action."""
        if question["kind"] == "do":
            return self.act(
                question["action"], list(question["ids"]), str(question.get("value", ""))
            )
        if question["kind"] == "rows":
            self.send(self.answer(question))
            self.on_look()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return missing parts of a page: columns of a new table, visible and changed rows.

        Args:
            question: The `page`, its `version` and `number`, the missing rows `from` one `to`
                another, and those in its `sight`.
        """
        with self.lock:
            requested = self._requested_rows(question)
            number, rows = self.number, {}
            reply: dict[str, Any] = {"kind": "rows", "page": question["page"], "live": self.live}
            if question["version"] != self.version:
                columns = [asdict(column) for column in self.columns]
                reply |= {"columns": columns, "count": len(self.ids)}
            else:
                number, rows = self._changes(question["number"], set(requested))
            rows |= {index: self._row(index) for index in requested}
            reply |= {"version": self.version, "number": number}
            return reply | {"rows": [[index, *row.plain()] for index, row in rows.items()]}

    def _requested_rows(self, question: dict[str, Any]) -> range:
        """Return the numbers of the rows that the page lacks.

        For a page with an older table, these are the rows that will be visible.
        """
        first, last = question["from"], question["to"]
        if question["version"] != self.version:
            first, last = question["sight"]
            first = min(first, max(0, len(self.ids) - (last - first)))
        return range(max(0, first), max(0, min(last, len(self.ids), first + MOST_ROWS)))

    def _row(self, index: int) -> GridRow:
        row = self.sent[index] = self.row_at(index)
        return row

    def _changes(self, since: int, requested: set[int]) -> tuple[int, dict[int, GridRow]]:
        """Return rows changed after a number, limited per message, and the last number covered."""
        rows, bytes_left, last = {}, MOST_BYTES, self.number
        for number, index in sorted((n, i) for i, n in self.changed.items() if n > since):
            row = self.sent[index]
            bytes_left -= len(json.dumps([index, *row.plain()]))
            if bytes_left < 0 and rows:
                return last, rows
            last = number
            if index not in requested:
                rows[index] = row
        return self.number, rows

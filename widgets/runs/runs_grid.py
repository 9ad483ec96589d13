"""A table of many rows, of which a page holds what is in sight: it asks for what it lacks and what has changed.

Knows no run: rows are an id, texts and a few flags. The panel around it is `widgets.runs.runs_table`.
"""

import json
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import anywidget
import traitlets

from ..kit.page_module import page_module

MOST_ROWS = 200  # in one message, at the asking of a page
MOST_BYTES = 4500  # of changed rows in one message; the rest comes with the next


@dataclass(frozen=True)
class Column:
    """A column: its name, its width in characters, whether it holds numbers, may be written in or says how a run is."""

    name: str
    width: int
    numeric: bool = False
    editable: bool = False
    sortable: bool = True


@dataclass(frozen=True)
class GridRow:
    """A row: the ids that it stands for, how it is marked, and a text for each column."""

    ids: tuple[str, ...]
    cells: tuple[str, ...]
    pinned: bool = False
    wrong: bool = False

    def plain(self) -> list:
        """As the page takes it."""
        return [list(self.ids), list(self.cells), int(self.pinned), int(self.wrong)]


class RunsGrid(anywidget.AnyWidget):
    """Rows by number; a page is sent those in its sight, then those that change.

    Args:
        act: Called with what a person did in the table: an action, the ids of the row, a value.
        on_look: Called whenever a page looks, at most twice a second each: the time to find out what has changed.
    """

    _esm = page_module("runs_grid.js")
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
        """Show these rows; where they are the same ones in the same order, only what differs in them is sent.

        Args:
            columns: Of all rows.
            ids: What each row stands for.
            row_at: The row of a number, made when a page needs it.
            changed: The rows that may differ from those shown under the same number before.
            live: Whether rows are going to change by themselves.
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
        """Number what has changed of the rows that some page holds."""
        fresh = {index: self.row_at(index) for index in changed if index in self.sent}
        news = [index for index, row in fresh.items() if row != self.sent[index]]
        self.sent |= fresh
        for index in news:
            self.number += 1
            self.changed[index] = self.number
        return bool(news)

    def _answer(self, _, question: dict[str, Any], buffers: list) -> None:
        """A page asks for rows, or tells what a person did."""
        if question["kind"] == "do":
            return self.act(
                question["action"], list(question["ids"]), str(question.get("value", ""))
            )
        self.send(self.answer(question))
        self.on_look()

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """What a page lacks: the head of the table if that is another one, the rows in sight, what has changed.

        Args:
            question: The `page` that asks, the `version` and `number` that it has, the rows that it lacks, `from` one
                `to` another, and those in its `sight`.
        """
        with self.lock:
            wanted = self._wanted(question)
            number, rows = self.number, {}
            reply: dict[str, Any] = {"kind": "rows", "page": question["page"], "live": self.live}
            if question["version"] != self.version:
                columns = [asdict(column) for column in self.columns]
                reply |= {"columns": columns, "count": len(self.ids)}
            else:
                number, rows = self._changes(question["number"], set(wanted))
            rows |= {index: self._row(index) for index in wanted}
            reply |= {"version": self.version, "number": number}
            return reply | {"rows": [[index, *row.plain()] for index, row in rows.items()]}

    def _wanted(self, question: dict[str, Any]) -> range:
        """The rows that the page lacks; of another table than it has, those that will be in its sight."""
        first, last = question["from"], question["to"]
        if question["version"] != self.version:
            first, last = question["sight"]
            first = min(first, max(0, len(self.ids) - (last - first)))
        return range(max(0, first), max(0, min(last, len(self.ids), first + MOST_ROWS)))

    def _row(self, index: int) -> GridRow:
        row = self.sent[index] = self.row_at(index)
        return row

    def _changes(self, since: int, wanted: set[int]) -> tuple[int, dict[int, GridRow]]:
        """The rows that changed after a number, as many as a message takes; and up to which number these are."""
        rows, room, last = {}, MOST_BYTES, self.number
        for number, index in sorted((n, i) for i, n in self.changed.items() if n > since):
            row = self.sent[index]
            room -= len(json.dumps([index, *row.plain()]))
            if room < 0 and rows:
                return last, rows
            last = number
            if index not in wanted:
                rows[index] = row
        return self.number, rows

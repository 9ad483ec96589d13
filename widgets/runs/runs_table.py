"""A live table of all runs of a folder: filter, sort, group, select, annotate, delete.

Ties `qtha_lab.runs.table` to a page. The headless equivalents are `qtha_lab.runs_table(…)` and
`qtha-lab runs`.
"""

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as ipw
import traitlets

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory import RunDir, annotations
from qtha_lab.experiment.run_directory.annotations import annotate
from qtha_lab.experiment.run_directory.disk import bytes_used
from qtha_lab.figures.machinery.table import Table
from qtha_lab.runs.table.columns import (
    SPREAD,
    check_column,
    column_text,
    known,
    present,
    worth_showing,
)
from qtha_lab.runs.table.frame import as_frame, needs_disk, query
from qtha_lab.runs.table.listing import Listing

from ..figures.saving import SaveTable
from ..kit import boxes
from ..kit.boxes import guarded
from ..kit.fold import Fold
from ..kit.static_output import StaticOutput
from .rows import (
    COLUMNS,
    EDITABLE,
    brief_rows,
    column_of,
    grid_row,
    ids_of,
    of_yesterday,
    plain_value,
)
from .run_list import LogView
from .runs_grid import Column, RunsGrid

if TYPE_CHECKING:
    import pandas

log = logging.getLogger(__name__)

SAMPLE = 200
MOST_TICKED = 200
STILL_ROWS = 30
REST = 10.0  # minimum pause between arrangements, in durations of one


class RunsTable(StaticOutput, ipw.VBox):
    """A table of runs in a folder; its traits may be set, observed, linked.

    Args:
        folder: Default `paths.runs_dir()`.
        announce: Receives sentences for a screen reader; default a `Announcer` of its own.
        brief: True for title, result, differences and age, grouped by launch.
        state: Initial values of traits.

    Example:
        >>> RunsTable(where="method = qtha", sort="eval_loss")  # doctest: +SKIP
    """

    folder = traitlets.Unicode(help="The folder of runs.")
    where = traitlets.Unicode(help="Filter of the runs, as in `qtha-lab runs --where`.")
    sort = traitlets.Unicode(help="Columns to sort by, `-` before one for large to small.")
    group = traitlets.Unicode(help="`seeds` joins runs that differ in their seed alone.")
    columns = traitlets.Tuple(help="Names of columns; empty selects the main columns.")
    ticked = traitlets.Tuple(help="The ids of the ticked runs, in the order of ticking.")
    binned = traitlets.Bool(help="True to show the trash instead.")
    yesterday = traitlets.Bool(help="True to show the runs of yesterday alone.")
    colors = traitlets.Dict(help="Symbol and colour of the line of each run id in a plot.")
    hidden = traitlets.Tuple(help="The ids of runs without a visible line in that plot.")

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        announce: Callable[[str], None] | None = None,
        brief: bool = False,
        **state: Any,
    ):
        self.brief = brief
        self.error, self.aria = boxes.ErrorText(), boxes.Announcer()
        self.announce = announce or self.aria.say
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="runs-table")
        self.asked, self.lock = 0, threading.Lock()
        self.due, self.stale = 0.0, False
        self.listing = Listing(Path(folder or paths.runs_dir()))
        self.grid = RunsGrid(guarded(self._do, self.error.report), self._look)
        place = str(folder or paths.runs_dir())
        super().__init__(folder=place, layout=boxes.layout(), **state)
        self.children = self._laid_out()
        boxes.classed(self, "qtha-page", "qtha-column", "qtha-runs-table")
        self.observe(lambda _: self._ask(self._open), ["folder", "binned"])
        arranging = ["where", "sort", "group", "columns", "yesterday"]
        self.observe(lambda _: self._ask(self._arrange), arranging)
        self.observe(self._show_ticked, "ticked")
        self._ask(self._open)
        self._show_ticked()

    @functools.cached_property
    def shown(self) -> "pandas.DataFrame":
        """The rows of the page, in their order."""
        return as_frame([])

    @functools.cached_property
    def log_view(self) -> LogView:
        """The log of a run, built when first opened."""
        return LogView()

    def still(self) -> dict[str, str]:
        """Return the first rows as HTML and as text, for pages without a kernel."""
        self.wait()
        names = self._on_page()
        first = self.shown[:STILL_ROWS].to_dict("records")
        rows = [{name: column_text(row, name) for name in names} for row in first]
        lines = ["  ".join(filter(None, row.values())) for row in rows]
        page = f"<h3>Runs</h3>{boxes.html_table(rows)}<p>{self.count.value}</p>"
        return {"text/html": page, "text/plain": "\n".join(["Runs", *lines])}

    def close(self) -> None:
        """Stop the reading thread and close the table."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        super().close()

    def wait(self) -> None:
        """Wait until all requested changes are shown."""
        self.pool.submit(lambda: None).result()

    def exact(self) -> Table:
        """Return the displayed rows as plain values; seed means add minimum and maximum columns."""
        self.wait()
        ends = [[name, *(name + end for end in SPREAD)] for name in self._on_page()]
        names = [name for part in ends for name in part if name in self.shown]
        return Table(names, self.shown[names].map(plain_value).to_numpy().tolist())

    def written(self) -> Table:
        """Return the displayed rows as formatted text."""
        self.wait()
        names = self._on_page()
        rows = self.shown.to_dict("records")
        return Table(names, [[column_text(row, name) for name in names] for row in rows])

    def refresh(self) -> None:
        """Read the folder again."""
        self._ask(self._open)

    # ---- requests of pages and traits, processed one by one in a thread

    def _ask(self, work: Callable[[], None]) -> None:
        """Schedule work in the thread; a poll is skipped if a newer request exists."""
        with self.lock:
            self.asked += 1
            number = self.asked
        try:
            self.pool.submit(self._work, work, number)
        except RuntimeError as reason:  # the pool is closed
            log.debug("the table is closed: %s", reason)

    def _work(self, work: Callable[[], None], number: int) -> None:
        if work != self._look_now or number == self.asked:
            guarded(work, self.error.report)()

    def _look(self) -> None:
        """Schedule a search for changes, unless other requests are pending."""
        self._ask(self._look_now)

    def _look_now(self) -> None:
        changed = self.listing.look()
        self.stale |= bool(changed)
        if self.stale and time.monotonic() >= self.due:
            self._arrange(quiet=True)
        elif here := [*changed & {*self.shown.index} & {*self.listing.frame.index}]:
            self._replace(here)

    def _replace(self, changed: list[str]) -> None:
        """Update changed rows in place; their order changes at the next arrangement."""
        self.shown.loc[changed] = self.listing.frame.loc[changed, self.shown.columns]
        self._show_brief() if self.is_brief else self._show(self._shown_columns())

    def _open(self) -> None:
        folder = Path(self.folder)
        folder = annotations.trash_of(folder) if self.binned else folder
        disk = needs_disk(self.where, self.sort, *self.columns)
        self.listing = Listing(folder.resolve(), disk)
        self.listing.read()
        self._arrange()

    def _arrange(self, quiet: bool = False) -> None:
        """Show the filtered rows in their order; an invalid filter leaves the table unchanged."""
        if needs_disk(self.where, self.sort, *self.columns) and not self.listing.disk:
            return self._open()
        begin, listed = time.monotonic(), self.listing.frame
        of_day = of_yesterday(listed, datetime.now(UTC)) if self.yesterday else listed
        shown = query(of_day, self.where, _pinned_first(self.sort), self.group)
        names, self.shown = self._names(shown), shown
        if self.is_brief:
            self._show_brief()
        elif quiet and names == [column.name for column in self._shown_columns()]:
            self._show(self._shown_columns())  # automatic updates keep the column widths
        else:
            sample = shown[:: max(1, len(shown) // SAMPLE)].to_dict("records")
            self._show([column_of(name, sample) for name in names])
        self._end_of_arranging(quiet, begin)

    @property
    def is_brief(self) -> bool:
        """True if title, result, differences and age are shown, grouped by launch."""
        return self.brief and not (self.columns or self.sort or self.group)

    def _show_brief(self) -> None:
        lines = brief_rows(self.shown, datetime.now(UTC))
        ids = [line.ids for line in lines]
        self.grid.show(COLUMNS, ids, lines.__getitem__, range(len(lines)))

    def _end_of_arranging(self, quiet: bool, begin: float) -> None:
        listed = self.listing.frame
        self._count()
        if not quiet:
            self.error.show("")
            self._offer(listed)
            count = len(of_yesterday(listed, datetime.now(UTC)))
            boxes.show(self.day, self.yesterday or 0 < count < len(listed))
        end = time.monotonic()
        self.due, self.stale = end + REST * (end - begin), False

    def _show(self, columns: list[Column]) -> None:
        shown, names = self.shown, [column.name for column in columns]
        ids = [ids_of(row) for row in shown[["run", "members"]].to_dict("records")]
        self.grid.show(columns, ids, lambda i: grid_row(shown.iloc[i], names), range(len(ids)))

    def _shown_columns(self) -> list[Column]:
        return [Column(**column) for column in self.grid.columns]

    def _names(self, shown: "pandas.DataFrame") -> list[str]:
        if self.columns:
            names = known(shown)
            return [check_column(name, names) for name in self.columns]
        names = [name for name in worth_showing(shown) if name not in EDITABLE]
        return [*names[:1], "name", *names[1:], "tags", "note"] if not self.group else names

    def _count(self) -> None:
        shown, listed = self.shown, self.listing.frame
        what = "runs in the trash" if self.binned else "runs"
        parts = [f"{len(listed):,} {what}" if len(listed) != 1 else what.replace("runs", "1 run")]
        if self.group or len(shown) != len(listed):
            parts.append(f"{len(shown):,} row{'' if len(shown) == 1 else 's'} shown")
        if self.listing.going:
            parts.append(f"{len(self.listing.going):,} at work")
        if self.ticked:
            parts.append(f"{len(self.ticked):,} ticked")
        if self.listing.disk:
            parts.append(f"{listed['disk_mib'].sum():,.1f} MiB")
        self.count.value = " · ".join(parts)

    # ---- user actions

    def _do(self, action: str, ids: list[str], value: str) -> None:
        if action == "open":
            self.log_view.show(ids[0], self.listing.folder)
            self.log_fold.unfolded = True
        elif action == "delete":
            self._ask(lambda: self._delete(ids))
        elif action == "pin":
            self._ask(lambda: self._annotate(ids, pinned=bool(value)))
        elif action == "tags":
            self._ask(lambda: self._write_tags(ids, value))
        elif action in EDITABLE:
            self._ask(lambda: self._annotate(ids, **{action: value}))

    def _annotate(self, ids: Sequence[str], **changes: Any) -> None:
        for name in ids:
            annotate(RunDir(self.listing.folder / name), **changes)
        self.listing.renew(ids)
        self._arrange()

    def _write_tags(self, ids: Sequence[str], value: str) -> None:
        words = [part.strip() for part in value.split(",") if part.strip()]
        before = self.listing.frame.loc[list(ids), "tags"].sum()
        self._annotate(ids, add=words, remove=[tag for tag in before if tag not in words])

    def _delete(self, ids: Sequence[str]) -> None:
        if self.binned:
            raise Refusal(
                "Runs to delete must not be in the trash yet. Restore them, or empty the trash."
            )
        refused = []
        for name in ids:
            try:
                annotations.delete(RunDir(self.listing.folder / name))
            except Refusal as reason:
                refused.append(str(reason))
        gone = [name for name in ids if not (self.listing.folder / name).exists()]
        self.ticked = tuple(name for name in self.ticked if name not in gone)
        done = f"{_runs(len(gone))} in the trash; Show trash leads there." if gone else ""
        self._after(done, refused)

    def _restore(self, ids: Sequence[str]) -> None:
        for name in ids:
            annotations.restore(name, Path(self.folder))
        self.ticked = ()
        self._after(f"{_runs(len(ids))} restored.", [])

    def _empty(self) -> None:
        names = annotations.empty_trash(Path(self.folder))
        self.ticked = ()
        self._after(f"{_runs(len(names))} erased.", [])

    def _after(self, sentence: str, refused: list[str]) -> None:
        """Read the folder again, and report the result; raise the refusals together."""
        self._open()
        self.message_text.value = sentence
        self.announce(sentence)
        if refused:
            raise Refusal("; ".join(refused))

    def _of_ticked(self, work: Callable[[Sequence[str]], None]) -> Callable[[Any], None]:
        """Return the callback of a button that acts on the selected runs."""

        def answer(_button: Any) -> None:
            if not self.ticked:
                raise Refusal("No run is ticked. Tick some in the first column.")
            ids = [name for name in self.ticked if name in self.listing.runs]
            self._ask(lambda: work(ids))

        return self.error.guard(answer)

    def _show_ticked(self, _change: Any = None) -> None:
        if list(self.ticked) != list(self.grid.ticked):
            self.grid.ticked = list(map(str, self.ticked))
        for button in self.of_ticked:
            button.disabled = not self.ticked
        self._ask(self._count)

    def _take_ticked(self, change: Any) -> None:
        ids = tuple(change["new"])
        try:
            self._tick(ids)
        except Refusal:
            self.grid.ticked = list(map(str, self.ticked))
            raise

    def _tick_all(self) -> None:
        shown = (name for ids in self.grid.ids for name in ids)
        self._tick(tuple(dict.fromkeys([*self.ticked, *shown])))

    def _tick(self, ids: tuple[str, ...]) -> None:
        if len(ids) > MOST_TICKED:
            raise Refusal(
                f"Ticked runs must be at most {MOST_TICKED}, got {len(ids):,}. Filter some of "
                "them out."
            )
        self.ticked = ids

    # ---- controls

    def _laid_out(self) -> list[Any]:
        self.filter = boxes.styled(
            ipw.Text,
            description="filter",
            placeholder="method == qtha and learning_rate >= 0.003 and best in tags",
            css="qtha-filter",
        )
        tip = "show the runs of yesterday alone"
        self.day = boxes.styled(
            ipw.ToggleButton, description="Yesterday", icon="calendar", tooltip=tip
        )
        boxes.show(self.day, False)
        rows = [("runs", ""), ("seeds as one", "seeds")]
        self.seeds = boxes.styled(ipw.Dropdown, options=rows, description="rows")
        self.more = boxes.styled(ipw.Dropdown, options=[("", "")], description="columns")
        self.more.observe(self.error.guard(self._toggle_column), "value")
        show_trash = boxes.styled(ipw.ToggleButton, description="Show trash", icon="trash")
        traitlets.link((self, "sort"), (self.grid, "sort"))
        traitlets.dlink((self, "colors"), (self.grid, "colors"))
        traitlets.link((self, "hidden"), (self.grid, "hidden"), transform=(list, tuple))
        controls = {"where": self.filter, "yesterday": self.day, "group": self.seeds}
        for name, control in (controls | {"binned": show_trash}).items():
            traitlets.link((self, name), (control, "value"))
        self.grid.observe(guarded(self._take_ticked, self.error.report), "ticked")
        self.count, self.message_text = boxes.text(), boxes.text()
        actions = self._actions()
        self.log_fold = Fold("Log", lambda: self.log_view)
        if self.brief:
            boxes.classed(self, "qtha-brief")
            more = boxes.row([self.seeds, self.more, show_trash, actions], css="qtha-run-tools")
            tools = Fold("Columns, tags, trash", more, self._save, more=True)
            buttons = self.every, self.clear, self.count, self.message_text
            title = boxes.heading("Runs")
            head = boxes.row([title, self.filter, self.day, *buttons], css="qtha-runs-head")
            return [head, self.error.panel, self.grid, tools, self.log_fold]
        top = [self.filter, self.day, self.seeds, self.more, show_trash]
        return [
            *([self.aria] if self.announce == self.aria.say else []),
            boxes.row(top, css="qtha-runs-head"),
            actions,
            self.error.panel,
            self.grid,
            boxes.row([self.count, self.message_text]),
            self._save(),
            self.log_fold,
        ]

    def _save(self) -> SaveTable:
        return SaveTable("runs", self.exact, self.written)

    def _actions(self) -> ipw.HBox:
        """Return the buttons for the selected runs; the trash has buttons of its own."""
        self.tag = boxes.styled(ipw.Text, placeholder="a tag", description="tag")
        self.tag.layout = boxes.layout(width="180px")
        add = self._button("Add tag", "tag", lambda ids: self._annotate(ids, add=[self.tag.value]))
        remove = self._button(
            "Remove tag", "", lambda ids: self._annotate(ids, remove=[self.tag.value])
        )
        delete = self._button("Delete", "trash", self._delete)
        restore = self._button("Restore", "undo", self._restore)
        tip = "tick all rows that the filter shows"
        self.every = every = boxes.button("Tick all", icon="check-square-o", tooltip=tip)
        every.on_click(self.error.guard(lambda _: self._ask(self._tick_all)))
        self.clear = clear = self._button("Untick all", "square-o", self._untick)
        self.of_ticked = [add, remove, delete, restore, clear]
        empty = boxes.button("Empty trash …", icon="times")
        empty.on_click(self.error.guard(self._ask_to_empty(empty)))
        both = [] if self.brief else [every, clear]
        outside, inside = [self.tag, add, remove, delete, *both], [restore, *both, empty]
        row = boxes.row(inside if self.binned else outside)

        def swap(change: Any) -> None:
            row.children = tuple(inside if change["new"] else outside)
            empty.description = "Empty trash …"
            self.message_text.value = ""  # clear the message of the other view

        self.observe(swap, "binned")
        return row

    def _untick(self, _ids: Sequence[str]) -> None:
        self.ticked = ()

    def _button(self, title: str, icon: str, work: Callable[[Sequence[str]], None]) -> ipw.Button:
        button = boxes.button(title, icon=icon)
        button.on_click(self._of_ticked(work))
        return button

    def _ask_to_empty(self, button: ipw.Button) -> Callable[[Any], None]:
        """Return a callback that first lists the runs to erase, then erases them."""

        def answer(_button: Any) -> None:
            folder = Path(self.folder)
            if button.description.startswith("Empty"):
                runs = _runs(len(annotations.list_trash(folder)))
                size = bytes_used(annotations.trash_of(folder)) / 2**20
                button.description = f"Erase {runs}, {size:,.1f} MiB, for good"
            else:
                button.description = "Empty trash …"
                self._ask(self._empty)

        return answer

    def _offer(self, listed: "pandas.DataFrame") -> None:
        """List the columns to show and hide, with check marks at visible ones."""
        on_page = [] if self.is_brief else self._on_page()
        names = [*on_page, *(n for n in [*present(listed), "disk_mib"] if n not in on_page)]
        marked = [(f"{'✓ ' * (name in on_page)}{name}", name) for name in dict.fromkeys(names)]
        options = [(f"{len(on_page)} shown" if on_page else "brief", ""), *marked]
        if self.is_brief:
            options.insert(1, ("all that differ", "+"))
        if self.columns:
            options.append(("back to those that differ", "-"))
        boxes.show_options(self.more, tuple(options))

    def _on_page(self) -> list[str]:
        """Return the columns of the page; the brief table uses those of the full table."""
        return self._names(self.shown)

    def _toggle_column(self, change: Any) -> None:
        name = change["new"]
        if not name:
            return
        on_page = tuple(self._on_page())
        if name in ("-", "+"):
            self.columns = () if name == "-" else on_page
        elif name in on_page:
            self.columns = tuple(column for column in on_page if column != name)
        else:
            self.columns = (*on_page, name)
        self.more.value = ""


def _pinned_first(sort: str) -> str:
    return f"-pinned,{sort}" if sort.strip() else ""


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count:,} runs"

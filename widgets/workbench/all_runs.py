"""All runs of the folder, with views, chat and export of the selected runs.

Each part is created when it is opened; the ids of the selected runs tie the parts together.
"""

from collections.abc import Callable, Iterable

import ipywidgets as ipw
import traitlets

from ..kit.drawer import Drawer
from ..kit.guard import OnError

MOST = 200  # maximum number of selected runs


class Desk(ipw.VBox):
    """A panel with table, views, chat and export; `desk.show(ids)` opens the views.

    Attributes:
        ticked: The ids of the selected runs, shared by every part.

    Args:
        on_error: Receives an exception raised while a part is created.
        announce: Receives sentences for a screen reader.
    """

    ticked = traitlets.Tuple()

    def __init__(self, on_error: OnError, announce: Callable[[str], None]):
        self.announce = announce
        self.table = Drawer("All runs", self._table, on_error)
        self.views = Drawer("", self._views, on_error).add_class("qtha-views-drawer")
        self.chat = Drawer("", self._chat, on_error)
        self.leave = Drawer("", self._leave, on_error)
        super().__init__([self.table, self.views, self.chat, self.leave])
        self.observe(lambda _: self._name(), "ticked")
        self._name()

    def show(self, runs: Iterable[str]) -> None:
        """Select these runs and open their views."""
        self.ticked = tuple(runs)[:MOST]
        self.views.unfolded = True

    def _name(self) -> None:
        count = len(self.ticked)
        runs = f"{count} ticked run{'s' if count > 1 else ''}" if count else "the runs ticked above"
        self.views.title = f"Views of {runs}"
        self.chat.title = f"Talk with {runs}"
        self.leave.title = f"Take away one of {runs}"

    def _table(self) -> ipw.Widget:
        from ..runs.runs_table import RunsTable

        table = RunsTable(announce=self.announce)
        traitlets.link((self, "ticked"), (table, "ticked"))
        return table

    def _views(self) -> ipw.Widget:
        from ..explorers.views import Views

        views = Views(self.ticked)
        traitlets.dlink((self, "ticked"), (views, "runs"))
        return views

    def _chat(self) -> ipw.Widget:
        from .chat import Chat

        chat = Chat()
        traitlets.dlink((self, "ticked"), (chat, "runs"))
        return chat

    def _leave(self) -> ipw.Widget:
        from .export import ExportPanel

        leave = ExportPanel()
        traitlets.dlink((self, "ticked"), (leave, "runs"))
        return leave

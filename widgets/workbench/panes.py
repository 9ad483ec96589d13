"""The panes of the workbench, created when they are opened and tied by the ticked runs."""

from collections.abc import Callable
from typing import Any

import traitlets

from ..kit import controls
from ..kit.guard import OnError, guarded

MOST = 200  # maximum number of ticked runs
SETUP, WATCH, COMPARE = "Setup", "Watch", "Compare"
EXPLORE, CHAT, EXPORT = "Explore", "Chat", "Export"


class Panes(controls.Tabs):
    """The tabs of the workbench; `panes.select(name)` shows one.

    Attributes:
        ticked: The ids of the ticked runs, shared by every pane.

    Args:
        setup: Content of the first pane.
        watch: Content of the second pane.
        compare: Content of the third pane; views of the ticked runs are added when it is opened.
        on_error: Receives an exception raised while a pane is created.
    """

    ticked = traitlets.Tuple()

    def __init__(self, setup: Any, watch: Any, compare: Any, on_error: OnError):
        self.opened: dict[str, Any] = {}
        boxes = {name: controls.Box(classes=("qtha-pane",)) for name in (EXPLORE, CHAT, EXPORT)}
        self.views_box = controls.Box(classes=("qtha-views-box",))
        fixed = {SETUP: setup, WATCH: watch, COMPARE: controls.Box([compare, self.views_box])}
        self.boxes = {name: _pane(content) for name, content in fixed.items()} | boxes
        self.makers: dict[str, Callable[[], Any]] = {
            COMPARE: self._views, EXPLORE: self._explore, CHAT: self._chat, EXPORT: self._export,
        }  # fmt: skip
        super().__init__(self.boxes, WATCH)
        self.add_class("qtha-page")
        self.observe(guarded(lambda _: self._fill(), on_error), "shown")

    def select(self, name: str) -> None:
        """Show a pane."""
        self.shown = name

    def _fill(self) -> None:
        """Create the content of the shown pane, once."""
        if self.shown in self.makers and self.shown not in self.opened:
            part = self.opened[self.shown] = self.makers[self.shown]()
            place = self.views_box if self.shown == COMPARE else self.boxes[self.shown]
            place.children = (part,)

    def _views(self) -> Any:
        from ..explorers.views import Views

        views = Views(self.ticked)
        traitlets.dlink((self, "ticked"), (views, "runs"))
        return views

    def _explore(self) -> Any:
        from .explore import Explore

        explore = Explore()
        traitlets.dlink((self, "ticked"), (explore, "runs"))
        explore.draw()
        return explore

    def _chat(self) -> Any:
        from .chat import Chat

        chat = Chat()
        traitlets.dlink((self, "ticked"), (chat, "runs"))
        return chat

    def _export(self) -> Any:
        from .export import ExportPanel

        export = ExportPanel()
        traitlets.dlink((self, "ticked"), (export, "runs"))
        return export


def _pane(content: Any) -> controls.Box:
    """Return the box of a pane."""
    if isinstance(content, controls.Box):
        return content.add_class("qtha-pane")
    return controls.Box([content], classes=("qtha-pane",))

"""The panes of the workbench, created when they are opened and tied by the ticked runs."""

from collections.abc import Callable
from typing import Any

import ipywidgets as ipw
import traitlets

from ..kit import boxes
from ..kit.boxes import OnError, guarded
from ..kit.fold import Fold

MOST = 200  # maximum number of ticked runs
WATCH, COMPARE = "Watch", "Compare"
EXPLORE, CHAT, EXPORT = "Explore", "Chat", "Export"
VIEWS = "Views: curves, learning rates, settings"
ALONE = "Hide or show the setup and the runs (key f on a figure)"


class Panes(ipw.Tab):
    """The tabs of the workbench; `panes.select(name)` shows one.

    Attributes:
        ticked: The ids of the ticked runs, shared by every pane.
        alone: True if a page shows the tabs without its other parts; `alone_button` sets it.

    Args:
        watch: Content of the first pane.
        compare: Content of the second pane, above views of the ticked runs. The views are unfolded
            while it has no figure of its own (`has_figure`).
        on_error: Receives an exception raised while a pane is created.
    """

    ticked = traitlets.Tuple()
    alone = traitlets.Bool(False)

    def __init__(self, watch: ipw.Widget, compare: Any, on_error: OnError):
        self.opened: dict[str, Any] = {}
        self.compare, self.views = compare, Fold(VIEWS, self._views)
        fixed = {WATCH: [watch], COMPARE: [compare, self.views]}
        self.boxes = {
            name: boxes.column(fixed.get(name, ()), css="qtha-pane")
            for name in (WATCH, COMPARE, EXPLORE, CHAT, EXPORT)
        }
        self.makers: dict[str, Callable[[], Any]] = {
            EXPLORE: self._explore,
            CHAT: self._chat,
            EXPORT: self._export,
        }
        children = [*self.boxes.values()]
        super().__init__(children, titles=[*self.boxes], selected_index=0, layout=boxes.layout())
        boxes.classed(self, "qtha-panes")
        fill = guarded(lambda _: self._fill(), on_error)
        self.observe(fill, "selected_index")
        compare.observe(fill, "has_figure")
        self.keeps_views = False
        self.observe(lambda _: setattr(self, "keeps_views", False), "ticked")
        self.alone_button = boxes.styled(
            ipw.ToggleButton,
            description="Show this tab alone",
            icon="expand",
            tooltip=ALONE,
            css="qtha-icon qtha-alone-button",
        )
        traitlets.link((self, "alone"), (self.alone_button, "value"))

    @property
    def shown(self) -> str:
        """The name of the shown pane."""
        return self.titles[self.selected_index or 0]

    def select(self, name: str) -> None:
        """Show a pane."""
        self.selected_index = self.titles.index(name)

    def show_views(self) -> None:
        """Show the views in Compare, until other runs are ticked."""
        self.keeps_views = self.views.unfolded = True
        self.select(COMPARE)

    def _fill(self) -> None:
        """Create the content of the shown pane, once; Compare shows one figure."""
        if self.shown == COMPARE and not self.keeps_views:
            self.views.unfolded = not self.compare.has_figure
        if self.shown in self.makers and self.shown not in self.opened:
            part = self.opened[self.shown] = self.makers[self.shown]()
            self.boxes[self.shown].children = (part,)

    def _views(self) -> Any:
        from ..explorers.views import Views

        views = self.opened[COMPARE] = Views(self.ticked)
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

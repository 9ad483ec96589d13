"""Display of a widget: live with a kernel, otherwise pictures, tables and text.

GitHub, nbviewer, nbconvert and e-mail show the first of the two outputs of a widget. A page hides
it while the live widget follows it: nbconvert prefers a widget to any other form of one output.

ipywidgets closes nothing by itself: a panel that no cell shows would go on reading runs. So
unreachable panels of rerun cells are closed here, after a delay, because the file that a reloaded
page reads may still show them.
"""

import base64
import html
import logging
import weakref
from typing import Any, NamedTuple

import ipywidgets as ipw
from IPython.display import display

from . import boxes
from .loop import kernel_loop, on_loop

log = logging.getLogger(__name__)
KEPT_SECONDS = 300.0  # JupyterLab saves every two minutes


class CellRun(NamedTuple):
    """One execution of a cell; both fields are empty if the frontend names no cell."""

    cell: str
    id: str


_shown: dict[CellRun, "weakref.WeakSet[Any]"] = {}


def record(panel: Any) -> None:
    """Record that the running cell shows a panel, so that it is closed once unreachable."""
    run, _ = _running()
    if run.cell:
        if not _shown:
            _shell().events.register("post_run_cell", _tidy)
        _shown.setdefault(run, weakref.WeakSet()).add(panel)


def _tidy(_result: Any) -> None:
    """Schedule the closing of panels from earlier executions and from deleted cells."""
    run, deleted = _running()
    left = [one for one in _shown if one.cell in deleted or (one.cell == run.cell and one != run)]
    panels = {panel for one in left for panel in _shown.pop(one)}
    loop = kernel_loop()
    if panels and loop is not None:
        on_loop(loop, loop.call_later, KEPT_SECONDS, _close, panels)


def _close(panels: set[Any]) -> None:
    for panel in panels:
        if not _is_reached(panel):
            log.debug("%s is closed: its cell was run again, or is gone", type(panel).__name__)
            panel.close()


def _running() -> tuple[CellRun, list[str]]:
    """Return the running cell, and the cells deleted since the previous execution."""
    get_parent = getattr(getattr(_shell(), "kernel", None), "get_parent", None)
    parent = get_parent() if get_parent else None
    if not parent or parent.get("header", {}).get("msg_type") != "execute_request":
        return CellRun("", ""), []
    metadata = parent.get("metadata", {})
    run = CellRun(metadata.get("cellId", ""), parent["header"]["msg_id"])
    return run, metadata.get("deletedCells", [])


def _is_reached(panel: Any) -> bool:
    """Return True if a cell or a name holds the panel, also inside others."""
    if any(panel in panels for panels in _shown.values()):
        return True
    names, hidden = _shell().user_ns, _shell().user_ns_hidden
    own = {n: v for n, v in names.items() if n[0] != "_" and n not in (*hidden, "In", "Out")}
    return any(held is panel for value in own.values() for held in _held(value))


def _held(value: Any) -> list[Any]:
    """Return the widgets that a value is or contains."""
    parts = value.values() if isinstance(value, dict) else value
    several = list(parts) if isinstance(value, dict | list | tuple) else [value]
    widgets = [part for part in several if isinstance(part, ipw.Widget)]
    return [inner for widget in widgets for inner in boxes.inside(widget)]


def _shell() -> Any:
    """Return the IPython shell, or None without one."""
    import IPython

    return IPython.get_ipython()


class StaticOutput:
    """A mixin for widgets that are displayed beside a static output; a subclass adds `still()`."""

    handle: Any = None
    """The displayed static output, which `show_still` renews."""

    def still(self) -> dict[str, str]:
        """Return the static content of the widget by MIME type: at least `text/plain`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the widget's tasks and close everything in it; runs that it launched go on."""
        if self.comm is not None:  # type: ignore[attr-defined]
            boxes.close_parts(self)
            super().close()  # type: ignore[misc]

    def show_still(self) -> None:
        """Renew the displayed static output."""
        if self.handle is not None:
            self.handle.update(static_bundle(self.still()), raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        record(self)
        bundle = super()._repr_mimebundle_(**kwargs) or {}  # type: ignore[misc]
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**bundle, "text/plain": self.still()["text/plain"]}

    def _ipython_display_(self) -> None:
        self.handle = display(static_bundle(self.still()), raw=True, display_id=True)
        display(self._repr_mimebundle_(), raw=True)


def static_bundle(still: dict[str, str]) -> dict[str, str]:
    """Return the static content of a widget as HTML and as text."""
    words = still["text/plain"]
    page = still.get("text/html", "")
    if svg := still.get("image/svg+xml"):
        data = base64.b64encode(svg.encode()).decode()
        alt = html.escape(still.get("alt", words), quote=True)
        page += f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}" style="max-width:100%">'
        page += f"<p>{html.escape(still.get('alt', words))}</p>"
    return {
        "text/html": f'<div class="qtha-static">{page or html.escape(words)}</div>',
        "text/plain": words,
    }

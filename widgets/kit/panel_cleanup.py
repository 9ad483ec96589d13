"""The panels shown by each cell; unreachable panels of rerun cells are closed.

ipywidgets closes nothing by itself: a panel that no cell shows would go on reading runs. Panels are
closed after a delay, because the file that a reloaded page reads may still show them.
"""

import logging
import weakref
from typing import Any, NamedTuple

import ipywidgets as ipw

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

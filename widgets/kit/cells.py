"""The panels shown by each cell; unreachable panels of rerun cells are closed.

JupyterLab names the cell that runs. A panel stays open if a notebook name holds it, another cell
shows it, or a box contains it. Others are closed after a delay, because the file that a reloaded
page reads may still show them.
"""

import logging
import weakref
from typing import Any, NamedTuple, Protocol

from . import pages
from .closing import holders_of

log = logging.getLogger(__name__)
KEPT_SECONDS = 300.0  # JupyterLab saves every two minutes


class Closable(Protocol):
    """An object that can be shown and closed."""

    def close(self) -> None:
        """Close the panel with everything in it."""


class CellRun(NamedTuple):
    """One execution of a cell; both fields are empty if the frontend names no cell."""

    cell: str
    id: str


_shown: dict[CellRun, "weakref.WeakSet[Any]"] = {}


def show(panel: Closable) -> None:
    """Record that the running cell shows a panel, so that it is closed once unreachable."""
    run, _ = _running()
    if run.cell:
        if not _shown:
            _shell().events.register("post_run_cell", _tidy)
            pages.watch()
        _shown.setdefault(run, weakref.WeakSet()).add(panel)


def _tidy(_result: Any) -> None:
    """Schedule the closing of panels from earlier executions and from deleted cells."""
    run, deleted = _running()
    left = [one for one in _shown if one.cell in deleted or (one.cell == run.cell and one != run)]
    panels = [_shown.pop(one) for one in left]
    if panels:
        pages.later(KEPT_SECONDS, lambda: _close({one for of in panels for one in of}))


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
    """Return True if a cell, a box or a user's name holds the panel.

    A name may hold it directly, or in a list, tuple or dictionary.
    """
    if any(panel in panels for panels in _shown.values()) or holders_of(panel):
        return True
    names, hidden = _shell().user_ns, _shell().user_ns_hidden
    for name, value in list(names.items()):
        if name.startswith("_") or name in hidden or name in ("In", "Out"):
            continue
        values = value.values() if isinstance(value, dict) else value
        among = isinstance(value, dict | list | tuple) and any(one is panel for one in values)
        if value is panel or among:
            return True
    return False


def _shell() -> Any:
    """Return the IPython shell, or None without one."""
    import IPython

    return IPython.get_ipython()

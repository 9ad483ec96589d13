"""What each cell of a notebook shows: run again, or deleted, it leaves no panel behind that nobody can reach.

JupyterLab says which cell is run. A panel that a name of the notebook still holds, another cell shows or a box has in it
stays open. The others are closed after a while: the file that a reloaded page reads may still show them.
"""

import logging
import weakref
from typing import Any, NamedTuple, Protocol

from . import pages
from .closing import holders_of

log = logging.getLogger(__name__)
KEPT_SECONDS = 300.0  # JupyterLab saves every two minutes


class Panel(Protocol):
    """What is shown, and closed."""

    def close(self) -> None:
        """Close it with all that is in it."""


class Run(NamedTuple):
    """One run of a cell; both are empty where nobody says which cell is run."""

    cell: str
    id: str


_shown: dict[Run, "weakref.WeakSet[Any]"] = {}


def show(panel: Panel) -> None:
    """Note that the cell that runs shows a panel, so that it is closed once nobody can reach it any more.

    Args:
        panel: About to be shown.
    """
    run, _ = _running()
    if run.cell:
        if not _shown:
            _shell().events.register("post_run_cell", _tidy)
            pages.watch()
        _shown.setdefault(run, weakref.WeakSet()).add(panel)


def _tidy(_result: Any) -> None:
    """See to it that what the cell that was run just now showed before is closed, and what deleted cells did."""
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


def _running() -> tuple[Run, list[str]]:
    """Which cell is run, and the cells deleted since the one before was."""
    get_parent = getattr(getattr(_shell(), "kernel", None), "get_parent", None)
    parent = get_parent() if get_parent else None
    if not parent or parent.get("header", {}).get("msg_type") != "execute_request":
        return Run("", ""), []
    metadata = parent.get("metadata", {})
    run = Run(metadata.get("cellId", ""), parent["header"]["msg_id"])
    return run, metadata.get("deletedCells", [])


def _is_reached(panel: Any) -> bool:
    """Whether a cell or a box shows it, or a name that somebody wrote has it, alone or in a list, tuple or dictionary."""
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
    """IPython's, where one runs."""
    import IPython

    return IPython.get_ipython()

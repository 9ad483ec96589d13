"""Which files a piece of code opens and which folders it lists, as Python itself reports it."""

import sys
from contextlib import contextmanager
from pathlib import Path

_LISTENERS: list[list[tuple[str, str]]] = []


def _hook(event: str, arguments: tuple) -> None:
    if _LISTENERS and event in ("open", "os.listdir", "os.scandir"):
        kind = "open" if event == "open" else "list"
        for listener in _LISTENERS:
            listener.append((kind, str(arguments[0])))


@contextmanager
def watched(folder: Path):
    """Collect `("open", path)` and `("list", path)` of what lies in a folder."""
    if not getattr(sys, "_watched_files", False):
        sys.addaudithook(_hook)
        setattr(sys, "_watched_files", True)  # noqa: B010  a hook stays until the process ends
    seen: list[tuple[str, str]] = []
    _LISTENERS.append(seen)
    try:
        yield seen
    finally:
        _LISTENERS.remove(seen)
        seen[:] = [(kind, path) for kind, path in seen if path.startswith(str(folder))]

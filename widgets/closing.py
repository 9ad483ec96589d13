"""A panel closed with all that is in it, which ipywidgets leaves open for as long as the kernel runs.

What is left open is sent to every page that is loaded again, and its work goes on.
"""

from collections.abc import Iterator
from typing import Any

import ipywidgets as ipw


def close_parts(panel: ipw.Widget) -> None:
    """Stop the work of everything in a panel, and close it; the panel itself is left to its own `close`."""
    parts = list(parts_of(panel))
    for part in (panel, *parts):
        if (background := getattr(part, "background", None)) is not None:
            background.stop()
    for part in parts:
        part.close()


def parts_of(widget: ipw.Widget) -> Iterator[ipw.Widget]:
    """Everything that a page is told of a widget, however deep: children, layouts, styles.

    Example:
        >>> [type(part).__name__ for part in parts_of(ipw.HBox([ipw.Label("a")]))]
        ['Label', 'Layout', 'Layout', 'LabelStyle']
    """
    seen = {id(widget)}
    waiting = [widget]
    while waiting:
        holder = waiting.pop()
        for part in _held(holder):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
                yield part


def _held(holder: ipw.Widget) -> Iterator[ipw.Widget]:
    for name in sorted(holder.keys):
        yield from _widgets_in(getattr(holder, name))


def _widgets_in(value: Any) -> Iterator[ipw.Widget]:
    if isinstance(value, ipw.Widget):
        yield value
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _widgets_in(entry)

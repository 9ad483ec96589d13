"""Closing of a panel with all its parts, which ipywidgets leaves open.

Open widgets are sent to every page that is reloaded, and their tasks go on while the kernel runs.
Widgets that others also contain stay open: a page waits without end for a closed widget that
another one contains. Widgets that a panel replaces are closed a little later, and not while a page
is loading.
"""

import contextvars
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as ipw

from . import pages
from .controls import Box, Element
from .kernel_patches import open_widgets
from .panel import Panel

GRACE_SECONDS = 5.0  # for messages of a page that connected while the kernel was busy
_closing: contextvars.ContextVar[bool] = contextvars.ContextVar("closing", default=False)


@contextmanager
def all_of(panel: ipw.Widget) -> Iterator[None]:
    """Stop all tasks in a panel and close its parts; the block closes the panel.

    Args:
        panel: The panel; inside another `all_of`, its parts are closed already and nothing is done.
    """
    if _closing.get():
        yield
        return
    token = _closing.set(True)
    try:
        own = _own({id(part): part for part in parts_of(panel)}, panel)
        _stop(_inside([panel, *own]))
        for part in own:
            part.close()
        yield
    finally:
        _closing.reset(token)


def put(box: Box, children: Iterable[Any]) -> None:
    """Replace the children of a box; widgets inside former children are closed.

    Their tasks stop at once. In a kernel they are closed after `GRACE_SECONDS`, unless another
    widget holds them by then.

    Args:
        box: The box whose children change.
        children: The new children; some may have been there before.
    """
    before, box.children = box.children, tuple(children)
    gone = [child for child in before if not any(child is one for one in box.children)]
    inside = list(_inside(gone))
    _stop(inside)
    widgets = [part for part in inside if isinstance(part, ipw.Widget)]
    if widgets and not pages.later(GRACE_SECONDS, lambda: _close(widgets)):
        _close(widgets)


def _inside(parts: Iterable[Any]) -> Iterator[Any]:
    """Yield elements and widgets with everything inside."""
    for part in parts:
        yield part
        if isinstance(part, Element):
            yield from _inside(part.parts())
        elif isinstance(part, Panel):
            yield from _inside(part.children)


def _close(gone: Iterable[ipw.Widget]) -> None:
    token = _closing.set(True)
    try:
        for part in _own(_with_parts(gone)):
            part.close()
    finally:
        _closing.reset(token)


def _with_parts(widgets: Iterable[ipw.Widget]) -> dict[int, ipw.Widget]:
    return {id(part): part for widget in widgets for part in (widget, *parts_of(widget))}


def _own(parts: dict[int, ipw.Widget], but: ipw.Widget | None = None) -> list[ipw.Widget]:
    """Return the parts that no open widget outside contains, directly or through another part."""
    others = [one for one in open_widgets() if one is not but and id(one) not in parts]
    shared = [part for one in others for part in _held(one) if id(part) in parts]
    kept = {id(one) for part in shared for one in (part, *parts_of(part))}
    return [part for key, part in parts.items() if key not in kept]


def _stop(parts: Iterable[Any]) -> None:
    for part in parts:
        if (background := getattr(part, "background", None)) is not None:
            background.stop()


def holders_of(widget: ipw.Widget) -> list[ipw.Widget]:
    """Return the open widgets that contain this widget.

    Example:
        >>> label = ipw.Label("a")
        >>> box = ipw.HBox([label])
        >>> holders_of(label) == [box], holders_of(box)
        (True, [])
    """
    return [one for one in open_widgets() if any(part is widget for part in _held(one))]


def parts_of(widget: ipw.Widget) -> Iterator[ipw.Widget]:
    """Yield every widget that a widget refers to, at any depth: children, layouts, styles.

    Example:
        >>> [type(part).__name__ for part in parts_of(ipw.HBox([ipw.Label("a")]))]
        ['Label', 'Layout', 'Layout', 'LabelStyle']
    """
    seen = {id(widget)}
    waiting = [widget]
    while waiting:
        for part in _held(waiting.pop()):
            if id(part) not in seen:
                seen.add(id(part))
                waiting.append(part)
                yield part


def _held(holder: ipw.Widget) -> Iterator[ipw.Widget]:
    yield from _widgets_in(getattr(holder, name) for name in sorted(holder.keys))
    if isinstance(holder, Panel):
        yield from holder.embedded()


def _widgets_in(values: Iterable[Any]) -> Iterator[ipw.Widget]:
    for value in values:
        if isinstance(value, ipw.Widget):
            yield value
        elif isinstance(value, list | tuple):
            yield from _widgets_in(value)

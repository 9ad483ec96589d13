"""A panel closed with all that is in it, which ipywidgets leaves open for as long as the kernel runs.

What is left open is sent to every page that is loaded anew, and its work goes on. What others have in them too stays:
a page waits for ever, with all its panels, for a widget that is in another and closed. What a panel replaces is closed
a little later, and not while a page is on its way.
"""

import contextvars
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import ipywidgets as ipw
from ipywidgets.widgets.widget import (
    _instances,  # pyright: ignore[reportPrivateUsage]  the list of them has no other name
)

from . import pages

GRACE_SECONDS = 5.0  # in which a page that came while the kernel was busy has been heard
_closing: contextvars.ContextVar[bool] = contextvars.ContextVar("closing", default=False)


@contextmanager
def all_of(panel: ipw.Widget) -> Iterator[None]:
    """Stop the work of everything in a panel and close it; the block closes the panel itself.

    Args:
        panel: One that is in the panel that is being closed has been seen to already.
    """
    if _closing.get():
        yield
        return
    token = _closing.set(True)
    try:
        own = _own({id(part): part for part in parts_of(panel)}, panel)
        _stop([panel, *own])
        for part in own:
            part.close()
        yield
    finally:
        _closing.reset(token)


def put(box: ipw.Box, children: Iterable[ipw.Widget]) -> None:
    """Give a box other children; those that it had, and nobody has any more, are closed with everything in them.

    Their work stops at once. In a kernel they are closed after `GRACE_SECONDS`, unless somebody has them again by then.

    Args:
        box: Whose children change.
        children: The new ones, of which some may have been there.

    Example:
        >>> box = ipw.HBox([goes := ipw.Label("goes"), stays := ipw.Label("stays")])
        >>> put(box, [stays])
        >>> goes in open_widgets(), stays in open_widgets()
        (False, True)
    """
    before, box.children = box.children, tuple(children)
    gone = [child for child in before if not any(child is one for one in box.children)]
    if not gone:
        return
    _stop(_own(_with_parts(gone)))
    if not pages.later(GRACE_SECONDS, lambda: _close(gone)):
        _close(gone)


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
    """Those that no open widget beside them has in it, nor any part of such a one."""
    others = [one for one in open_widgets() if one is not but and id(one) not in parts]
    shared = [part for one in others for part in _held(one) if id(part) in parts]
    kept = {id(one) for part in shared for one in (part, *parts_of(part))}
    return [part for key, part in parts.items() if key not in kept]


def _stop(widgets: Iterable[ipw.Widget]) -> None:
    for widget in widgets:
        if (background := getattr(widget, "background", None)) is not None:
            background.stop()


def holders_of(widget: ipw.Widget) -> list[ipw.Widget]:
    """The open widgets that have this one in them.

    Example:
        >>> label = ipw.Label("a")
        >>> box = ipw.HBox([label])
        >>> holders_of(label) == [box], holders_of(box)
        (True, [])
    """
    return [one for one in open_widgets() if any(part is widget for part in _held(one))]


def open_widgets() -> list[ipw.Widget]:
    """Every widget that a page which is loaded anew is told of."""
    return list(_instances.values())


def parts_of(widget: ipw.Widget) -> Iterator[ipw.Widget]:
    """Everything that a page is told of a widget, however deep: children, layouts, styles.

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
    return _widgets_in(getattr(holder, name) for name in sorted(holder.keys))


def _widgets_in(values: Iterable[Any]) -> Iterator[ipw.Widget]:
    for value in values:
        if isinstance(value, ipw.Widget):
            yield value
        elif isinstance(value, list | tuple):
            yield from _widgets_in(value)

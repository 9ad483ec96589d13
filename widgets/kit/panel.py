"""A panel: one widget that holds any number of controls as plain data.

The page asks for the whole panel when it opens, and receives numbered changes afterwards. After a
missing number it asks for the whole again, so that neither a late page nor a cut connection leaves
old content on the page.
"""

import itertools
import json
import logging
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import anywidget
import ipywidgets as ipw
import traitlets

from qtha_lab.core.io import read

from .controls import Box, Element
from .loop import kernel_loop, on_loop
from .page_module import PageModule

log = logging.getLogger(__name__)


class Panel(PageModule, anywidget.AnyWidget):
    """A widget with `children` of `controls`, charts or other panels."""

    MODULE = ("panel.js",)
    BEFORE = f"const STYLE = {json.dumps(read(Path(__file__).with_name('styles.css')))};"

    def __init__(self, children: Iterable[Any] = (), **traits: Any):
        self.lock = threading.RLock()
        self.known: dict[int, Element] = {}
        self.numbers = itertools.count(1)
        self.news: dict[int, set[str]] = {}
        self.number, self.waiting = 0, False
        self.root = Box()
        super().__init__(**traits)
        self._attach(self.root)
        self.children = tuple(children)
        self.on_msg(self._receive)

    @property
    def children(self) -> tuple[Any, ...]:
        """The parts of the panel, in order."""
        return self.root.children

    @children.setter
    def children(self, children: Iterable[Any]) -> None:
        self.root.children = tuple(children)

    @property
    def visible(self) -> bool:
        """True if the panel is shown."""
        return self.root.visible

    @visible.setter
    def visible(self, visible: bool) -> None:
        self.root.visible = visible

    def add_class(self, className: str) -> "Panel":
        """Add a CSS class to the panel."""
        self.root.add_class(className)
        return self

    def remove_class(self, className: str) -> "Panel":
        """Remove a CSS class from the panel."""
        self.root.remove_class(className)
        return self

    def embedded(self) -> Iterator[ipw.Widget]:
        """Yield the widgets among the parts."""
        waiting: list[Any] = [self.root]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Element):
                waiting += part.parts()
            elif isinstance(part, ipw.Widget):
                yield part

    def point_to(self, element: Element) -> None:
        """Move the keyboard focus of the pages to an element."""
        self._flush()
        self.send({"kind": "focus", "id": element.key})

    # ---- changes

    def record_change(self, element: Element, name: str) -> None:
        """Record that a value of an element has changed, and send it soon."""
        with self.lock:
            if name in ("children", "beside"):
                self._attach(element)
            self.news.setdefault(element.key, set()).add(name)
            if self.waiting:
                return
            self.waiting = True
        loop = kernel_loop()
        if loop is not None and loop.is_running():
            on_loop(loop, lambda: loop.call_soon(self._flush))
        else:
            self._flush()

    def _attach(self, element: Element) -> None:
        """Number an element and the elements inside; forget elements that left."""
        before = {part for part in getattr(element, "attached", ()) if isinstance(part, Element)}
        parts = element.parts()
        for part in before.difference(parts):
            if part.panel is self:
                self._detach(part)
        if element.panel is not self:
            element.panel, element.key = self, next(self.numbers)
            self.known[element.key] = element
        element.attached = parts  # type: ignore[attr-defined]
        for part in parts:
            if isinstance(part, Element) and part.panel is not self:
                self._attach(part)

    def _detach(self, element: Element) -> None:
        self.known.pop(element.key, None)
        element.panel = None
        for part in element.parts():
            if isinstance(part, Element) and part.panel is self:
                self._detach(part)

    def _flush(self) -> None:
        """Send all changes so far as one message."""
        with self.lock:
            self.waiting = False
            news, self.news = self.news, {}
            changes = [self._change(key, names) for key, names in news.items() if key in self.known]
            if not changes:
                return
            self.number += 1
            self.send({"kind": "news", "number": self.number, "news": changes})

    def _change(self, key: int, names: set[str]) -> list[Any]:
        element = self.known[key]
        changed = element.plain(sorted(names))
        if element.edit:
            changed["edit"] = element.edit
        return [key, changed]

    def whole(self) -> dict[str, Any]:
        """Return the panel in the format of the page."""
        with self.lock:
            root = {"id": self.root.key, "kind": "box", **self.root.plain()}
            return {"kind": "whole", "number": self.number, "root": root}

    def _receive(self, _: Any, content: dict[str, Any], _buffers: list) -> None:
        """Handle a message of a page: a request for content or a user's entry."""
        kind = content.get("kind")
        if kind == "whole":
            self._flush()
            self.send(self.whole() | {"page": content.get("page")})
        elif kind == "look":
            self.send({"kind": "number", "number": self.number, "page": content.get("page")})
        elif kind == "take" and (element := self.known.get(content["id"])) is not None:
            element.edit = (content["page"], content["edit"])
            try:
                element.take(content["name"], content.get("value"))
            except (traitlets.TraitError, ValueError, IndexError) as reason:
                log.debug("an entry is refused: %s", reason)
            if content["name"] in element.SENT:
                # the page learns that the entry was taken
                self.record_change(element, content["name"])


def _display(element: Element) -> None:
    from IPython.display import display

    display(Panel([element]))


Element.display = staticmethod(_display)

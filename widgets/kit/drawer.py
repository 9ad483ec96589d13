"""A fold whose content is created on first opening, so that a page appears earlier.

Independent of the content.
"""

from collections.abc import Callable

import ipywidgets as ipw

from .fold import Fold
from .guard import OnError, guarded


class Drawer(Fold):
    """A fold whose `content` is None until it is opened.

    Args:
        title: Text on the button.
        make: Creates the content.
        on_error: Receives an exception that `make` raises.

    Example:
        >>> drawer = Drawer("Views", lambda: ipw.Text(), print)
        >>> drawer.content is None
        True
        >>> drawer.unfolded = True
        >>> drawer.content.value
        ''
    """

    def __init__(self, title: str, make: Callable[[], ipw.Widget], on_error: OnError):
        super().__init__(title)
        self.make = make
        self.content: ipw.Widget | None = None
        self.button.observe(guarded(lambda _: self._fill(), on_error), "value")

    def _fill(self) -> None:
        if self.unfolded and self.content is None:
            self.content = self.make()
            self.body.children = (self.content,)

"""A fold whose content is made when it is first opened, so that a page is drawn before it.

Knows nothing of the content.
"""

from collections.abc import Callable

import ipywidgets as ipw

from .fold import Fold
from .guard import OnError, guarded


class Drawer(Fold):
    """Show it; `drawer.content` is None until it is opened.

    Args:
        title: What stands on the button.
        make: Makes the content.
        on_error: Takes what goes wrong while it is made.

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

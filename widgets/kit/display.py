"""The display of every panel: the widget with a kernel, otherwise pictures, tables and text.

GitHub, nbviewer, nbconvert, slides and e-mail show the second of the two outputs of a panel. A page
with a live panel hides it.
"""

import base64
import html
from typing import Any

from IPython.display import display

from . import cells, closing
from .panel import Panel


class Shown(Panel):
    """A panel that can be displayed alone or in another panel; a subclass adds `still()`."""

    handle: Any = None
    """The displayed static output, which `show_still` renews."""

    def still(self) -> dict[str, str]:
        """Return the static content of the panel by MIME type: at least `text/plain`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the panel's tasks and close everything in it; runs that it launched go on."""
        if self.comm is not None:
            with closing.all_of(self):
                super().close()

    def show_still(self) -> None:
        """Renew the displayed static output."""
        if self.handle is not None:
            self.handle.update(static_bundle(self.still()), raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        cells.show(self)
        bundle = super()._repr_mimebundle_(**kwargs) or {}
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**bundle, "text/plain": self.still()["text/plain"]}

    def _ipython_display_(self) -> None:
        still = static_bundle(self.still())
        self.handle = display(still, raw=True, display_id=True)
        display(self._repr_mimebundle_(), raw=True)


def static_bundle(still: dict[str, str]) -> dict[str, str]:
    """Return the static content of a panel as HTML and as text."""
    words = still["text/plain"]
    page = still.get("text/html", "")
    if svg := still.get("image/svg+xml"):
        data = base64.b64encode(svg.encode()).decode()
        alt = html.escape(still.get("alt", words), quote=True)
        page += f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}" style="max-width:100%">'
        page += f"<p>{html.escape(still.get('alt', words))}</p>"
    return {
        "text/html": f'<div class="qtha-static">{page or html.escape(words)}</div>',
        "text/plain": words,
    }

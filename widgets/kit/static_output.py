"""Display of a widget: live with a kernel, otherwise pictures, tables and text.

GitHub, nbviewer, nbconvert and e-mail show the first of the two outputs of a widget. A page hides
it while the live widget follows it: nbconvert prefers a widget to any other form of one output.
"""

import base64
import html
from typing import Any

from IPython.display import display

from . import boxes, panel_cleanup


class StaticOutput:
    """A mixin for widgets that are displayed beside a static output; a subclass adds `still()`."""

    handle: Any = None
    """The displayed static output, which `show_still` renews."""

    def still(self) -> dict[str, str]:
        """Return the static content of the widget by MIME type: at least `text/plain`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the widget's tasks and close everything in it; runs that it launched go on."""
        if self.comm is not None:  # type: ignore[attr-defined]
            boxes.close_parts(self)
            super().close()  # type: ignore[misc]

    def show_still(self) -> None:
        """Renew the displayed static output."""
        if self.handle is not None:
            self.handle.update(static_bundle(self.still()), raw=True)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        panel_cleanup.record(self)
        bundle = super()._repr_mimebundle_(**kwargs) or {}  # type: ignore[misc]
        bundle = bundle[0] if isinstance(bundle, tuple) else bundle
        return {**bundle, "text/plain": self.still()["text/plain"]}

    def _ipython_display_(self) -> None:
        self.handle = display(static_bundle(self.still()), raw=True, display_id=True)
        display(self._repr_mimebundle_(), raw=True)


def static_bundle(still: dict[str, str]) -> dict[str, str]:
    """Return the static content of a widget as HTML and as text."""
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

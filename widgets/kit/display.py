"""The display of every panel: the widget with a kernel, otherwise a picture and text.

GitHub, nbviewer, nbconvert, slides and e-mail show the richest MIME type that they support.
"""

import ipywidgets as ipw

from . import cells, closing


class Shown(ipw.VBox):
    """A box that can be displayed alone or in another box; a panel adds `still()`."""

    def still(self) -> dict[str, str]:
        """Return the static content of the panel by MIME type: at least `text/plain`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the panel's tasks and close everything in it; runs that it launched go on."""
        if self.comm is not None:
            with closing.all_of(self):
                super().close()

    def _repr_mimebundle_(self, **kwargs) -> dict[str, str]:
        cells.show(self)
        return {**(super()._repr_mimebundle_(**kwargs) or {}), **self.still()}

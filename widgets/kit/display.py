"""How every panel shows itself: the widget where a kernel answers, elsewhere a picture and its words.

GitHub, nbviewer, nbconvert, slides and an e-mail take the richest of a bundle that they can draw.
"""

import ipywidgets as ipw

from . import cells, closing


class Shown(ipw.VBox):
    """An ordinary box, to be shown by itself or in any other; a panel adds `still()`."""

    def still(self) -> dict[str, str]:
        """What stands for the panel where no widget does, by MIME type: at least `text/plain`."""
        raise NotImplementedError

    def close(self) -> None:
        """Stop the panel's work and close it with everything in it; runs that it started go on."""
        if self.comm is not None:
            with closing.all_of(self):
                super().close()

    def _repr_mimebundle_(self, **kwargs) -> dict[str, str]:
        cells.show(self)
        return {**(super()._repr_mimebundle_(**kwargs) or {}), **self.still()}

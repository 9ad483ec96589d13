"""A curve of five points that a reader drags, by mouse or keyboard."""

import anywidget
import traitlets

from qtha_lab.lessons.predictions import Prediction

from ..kit.page_module import PageModule


class SketchView(PageModule, anywidget.AnyWidget):
    """A curve of five draggable points; `values` are their heights.

    Args:
        declared: Prediction with the places, labels and limits of the curve.

    Example:
        >>> declared = Prediction("1.a", "Draw it.", sketch=(1, 2, 4, 8, 16), limits=(0, 2))
        >>> SketchView(declared).values
        [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    MODULE = ("sketch.js",)
    places = traitlets.List().tag(sync=True)
    values = traitlets.List().tag(sync=True)
    limits = traitlets.List().tag(sync=True)
    labels = traitlets.List().tag(sync=True)

    def __init__(self, declared: Prediction):
        low, high = map(float, declared.limits)
        middle = [(low + high) / 2] * len(declared.sketch)
        super().__init__(
            places=list(map(float, declared.sketch)),
            values=middle,
            limits=[low, high],
            labels=list(declared.labels),
        )

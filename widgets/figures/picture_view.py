"""A view of one SVG picture at a time, drawn in the kernel without plotly.js."""

import re
from typing import NamedTuple

import anywidget
import traitlets

from qtha_lab.figures.machinery import static_svg
from qtha_lab.figures.machinery.figure import Figure

from ..kit.page_module import PageModule
from .figure_view import PAGE

# Role and title of the SVG: the page's figure element has them already.
TITLE = re.compile(r' role="img"(.*?)<title>.*?</title>', re.DOTALL)


class Picture(NamedTuple):
    """A figure and its SVG; a thread may create it."""

    figure: Figure
    svg: str

    @classmethod
    def of(cls, figure: Figure) -> "Picture":
        """Draw a figure for a page; gates, boxes and bars have tooltips."""
        svg = static_svg.svg(figure.drawing(PAGE), "", below=False, hover=True)
        return cls(figure, TITLE.sub(r' aria-hidden="true"\1', svg, count=1))


class PictureView(PageModule, anywidget.AnyWidget):
    """A view of one picture at a time; `view.show(picture)` replaces it.

    Unchanged parts are not sent to the page.

    Args:
        picture: The first picture.
    """

    MODULE = ("figure_frame.js", "picture_zoom.js", "picture_view.js")
    svg = traitlets.Unicode().tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(self, picture: Picture):
        self.figure = picture.figure
        super().__init__(svg=picture.svg, alt=picture.figure.alt)

    def show(self, picture: Picture) -> None:
        """Draw another picture."""
        self.figure = picture.figure
        with self.hold_sync():
            self.svg, self.alt = picture.svg, picture.figure.alt

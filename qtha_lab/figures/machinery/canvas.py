"""Blank page in pixel units for diagrams without axes; y grows downward.

Draws text, boxes and lines with exact sizes.
"""

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure

Place = tuple[float, float]
SPOT = 30  # pixels around a spot within which its text is shown


class Canvas:
    """Collector of strokes, boxes, texts and hover spots for a figure."""

    def __init__(self, page_style: PageStyle):
        self.page_style = page_style
        self.strokes: list[dict] = []
        self.boxes: list[dict] = []
        self.texts: dict[tuple[float, str, str], list[tuple[Place, str]]] = {}
        self.dots: list[Place] = []
        self.spots: list[tuple[Place, str]] = []

    def stroke(self, start: Place, end: Place, width: float = 1.0) -> None:
        """Add a straight line behind everything else."""
        line = {"width": width * self.page_style.line, "color": self.page_style.inks.text}
        (x0, y0), (x1, y1) = start, end
        place = {"x0": x0, "x1": x1, "y0": y0, "y1": y1}
        self.strokes.append({"type": "line", "layer": "below", "line": line, **place})

    def box(
        self, middle: Place, size: tuple[float, float], fill: str, radius: bool = False
    ) -> None:
        """Add a filled rectangle or ellipse in front of the strokes.

        Args:
            middle: (x, y) in pixels.
            size: (width, height) in pixels.
            fill: Fill colour.
            radius: Draw an ellipse.
        """
        (x, y), (width, height) = middle, size
        self.boxes.append(
            {
                "type": "circle" if radius else "rect",
                "layer": "below",
                "x0": x - width / 2,
                "x1": x + width / 2,
                "y0": y - height / 2,
                "y1": y + height / 2,
                "fillcolor": fill,
                "line": {"width": 0.6 * self.page_style.line, "color": self.page_style.inks.text},
            }
        )

    def text(
        self,
        at: Place,
        words: str,
        font: float | None = None,
        side: str = "middle center",
        boxed: bool = False,
    ) -> None:
        """Add a text at a position.

        Args:
            at: (x, y) in pixels.
            words: Text; `<br>` breaks a line.
            font: Font size in pixels; None uses the page's.
            side: Side of the position, as plotly's textposition.
            boxed: The text stands on a box, which is light in both page themes.
        """
        ink = theme.INKS["light"].text if boxed and self.page_style.theme == "page" else ""
        self.texts.setdefault((font or self.page_style.font, side, ink), []).append((at, words))

    def dot(self, at: Place) -> None:
        """Add a filled dot, such as a control."""
        self.dots.append(at)

    def spot(self, at: Place, words: str) -> None:
        """Add an invisible position with hover text."""
        self.spots.append((at, words))

    def figure(self, height: float) -> PlainFigure:
        """Return the page with the given height."""
        hidden = {"visible": False, "fixedrange": True}
        return PlainFigure(
            [*self._texts(), self._dots(), self._spots()],
            {
                "width": self.page_style.width,
                "height": height,
                "showlegend": False,
                "hoverdistance": SPOT,
                "margin": {"l": 0, "r": 0, "t": 0, "b": 0, "autoexpand": False},
                "xaxis": {**hidden, "range": [0, self.page_style.width]},
                "yaxis": {**hidden, "range": [height, 0]},
                "shapes": [*_merged(self.strokes), *_merged(self.boxes)],
            },
        )

    def _texts(self) -> list[dict]:
        return [
            {
                "type": "scatter",
                "x": [x for (x, _), _ in placed],
                "y": [y for (_, y), _ in placed],
                "text": [words for _, words in placed],
                "mode": "text",
                "textposition": side,
                "textfont": {"size": font} | ({"color": ink} if ink else {}),
                "hoverinfo": "skip",
                "cliponaxis": False,
            }
            for (font, side, ink), placed in self.texts.items()
        ]

    def _dots(self) -> dict:
        marker = {"color": self.page_style.inks.text, "size": 1.2 * self.page_style.marker}
        x, y = ([at[i] for at in self.dots] for i in (0, 1))
        return {
            "type": "scatter",
            "x": x,
            "y": y,
            "mode": "markers",
            "marker": marker,
            "hoverinfo": "skip",
        }

    def _spots(self) -> dict:
        x, y = ([at[i] for at, _ in self.spots] for i in (0, 1))
        return {
            "type": "scatter",
            "x": x,
            "y": y,
            "mode": "none",  # no invisible marker per gate
            "hovertext": [words for _, words in self.spots],
            "hoverinfo": "text",
        }


def _merged(shapes: list[dict]) -> list[dict]:
    """Merge lines and boxes of the same style into one path each.

    plotly draws one path as fast as one shape.
    """
    alike: dict[str, list[dict]] = {}
    for shape in shapes:
        alike.setdefault(f"{shape['type']} {shape['line']} {shape.get('fillcolor')}", []).append(
            shape
        )
    return [part for group in alike.values() for part in _single(group)]


def _single(group: list[dict]) -> list[dict]:
    first = group[0]
    if len(group) == 1 or first["type"] == "circle":
        return group
    style = {key: first[key] for key in ("layer", "line", "fillcolor") if key in first}
    return [{"type": "path", "path": "".join(map(_outline, group)), **style}]


def _outline(shape: dict) -> str:
    x0, x1, y0, y1 = (f"{shape[name]:.2f}" for name in ("x0", "x1", "y0", "y1"))
    if shape["type"] == "line":
        return f"M{x0},{y0}L{x1},{y1}"
    return f"M{x0},{y0}L{x1},{y0}L{x1},{y1}L{x0},{y1}Z"

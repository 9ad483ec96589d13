"""The page that a matplotlib script draws on: its axes by name, lengths in points, where words lie, what the legend has."""

from typing import Any

from qtha_lab.figures.machinery import script_source as source
from qtha_lab.figures.machinery.look import PIXELS_PER_POINT, Look


class ScriptPage:
    """A figure as plain data, as the parts of a script read it.

    Attributes:
        data: The traces.
        layout: Everything else.
        look: Sizes and fonts.
        pairs: The axes of the traces, such as `("x", "y2")`.
        names: What the script calls the axes of each pair.
        seen: The names that stand in the legend so far.
    """

    def __init__(self, drawing: dict[str, Any], look: Look):
        self.data, self.layout, self.look = drawing["data"], drawing["layout"], look
        self.zoom = look.zoom
        self.pairs = list(dict.fromkeys(axes_of(trace) for trace in self.data)) or [("x", "y")]
        self.names = {pair: f"axes[{place}]" for place, pair in enumerate(self.pairs)}
        self.seen: set[str] = set()

    def points(self, pixels: float) -> float:
        """A length of the page in points."""
        return round(pixels / PIXELS_PER_POINT * self.zoom, 3)

    def domain(self, name: str) -> tuple[float, float]:
        """From where to where on the page an axis goes, as shares."""
        start, end = self.axis(name).get("domain") or (0.0, 1.0)
        return start, end

    def axis(self, name: str) -> dict[str, Any]:
        """What is said of an axis."""
        return self.layout.get(f"{name[0]}axis{name[1:]}") or {}

    def label(self, trace: dict[str, Any]) -> str:
        """What a trace is called in the legend; each name once."""
        name = trace.get("name") or ""
        has_legend = self.layout.get("showlegend") and trace.get("showlegend") is not False
        if not name or not has_legend or name in self.seen:
            return ""
        self.seen.add(name)
        return source.words(name)

    def along(self, trace: dict[str, Any], letter: str) -> list[Any]:
        """Where the values of a trace lie along its x or y: words at the places that all traces of the axis give them."""
        values = list(trace.get(letter) or ())
        places = {word: place for place, word in enumerate(self.categories(axis_of(trace, letter)))}
        return [places[value] for value in values] if places else values

    def categories(self, name: str) -> list[str]:
        """The words along an axis, in the order that it gives them, else in that of the traces; none along numbers."""
        listed = list(self.axis(name).get("categoryarray") or ())
        of_traces = [t.get(name[0]) or () for t in self.data if axis_of(t, name[0]) == name]
        values = [value for of_trace in of_traces for value in of_trace]
        words = any(isinstance(value, str) for value in values)
        return list(dict.fromkeys([*listed, *values])) if words else []


def axis_of(trace: dict[str, Any], letter: str) -> str:
    """The name of a trace's axis along x or y."""
    return trace.get(f"{letter}axis") or letter


def axes_of(trace: dict[str, Any]) -> tuple[str, str]:
    """The names of both axes of a trace."""
    return axis_of(trace, "x"), axis_of(trace, "y")

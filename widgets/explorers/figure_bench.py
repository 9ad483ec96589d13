"""An explorer of a paper's figures: venue, names, and simulated colour vision.

Figures come from `lessons.paper_figures`, colours from `figures.machinery.colour_vision`.
"""

import functools
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, ClassVar

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import TARGETS, PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure, plain_parts
from qtha_lab.figures.machinery.theme import NORMAL, SIGHTS, all_seen
from qtha_lab.lessons.paper_figures import KINDS, caption_needs, paper_figure
from qtha_lab.lessons.recordings import recording_names
from qtha_lab.studies.comparison.compared import NAMES

from .explorer import Explorer
from .explorer_model import Choice, Drawing, ExplorerModel

START = {
    "recording": "confirm-qa",
    "kind": "differences",
    "target": "screen",
    "names": "short",
    "sight": NORMAL,
}


class FigureBenchModel(ExplorerModel):
    """The figures of a recorded comparison, as a venue prints them.

    Args:
        options: Initial values of its state, such as kind="seeds".

    Example:
        >>> bench = FigureBenchModel(kind="seeds", target="one-column")
        >>> bench.drawing.rows[0]["width"]
        '3.5 in'
    """

    STATE = ("recording", "kind", "target", "names", "sight")
    PRESETS: ClassVar = {
        "Which figure carries the claim?": START,
        "Does it survive a grey printer?": START | {"kind": "curves", "sight": "greyscale"},
        "Does it fit into one column?": START | {"kind": "seeds", "target": "one-column"},
    }
    recording, kind = Choice(), Choice(tuple(KINDS), "figure")
    target, names = Choice(tuple(TARGETS), "venue"), Choice(tuple(NAMES))
    sight = Choice(tuple(SIGHTS), "seen")

    def __init__(self, **options: Any):
        super().__init__(START | options)

    def offers(self, name: str) -> Sequence:
        return recording_names() if name == "recording" else super().offers(name)

    def compute(self, state: SimpleNamespace) -> Drawing:
        figure = paper_figure(state.kind, state.recording, state.names)
        venue = TARGETS[state.target]
        row = {
            "width": f"{venue.width_inches:g} in",
            "text": f"{venue.font_points:g} pt",
            "alt text": f"{len(figure.alt.split())} words",
        }
        notes = [f"The caption must state: {'; '.join(caption_needs(state.recording))}."]
        notes.append(f"Caption of the package: {figure.caption}")
        code = (
            f"paper_figure({state.kind!r}, {state.recording!r}, {state.names!r})"
            f".export('figure.pdf', target={state.target!r})"
        )
        return Drawing({"figure": _at(figure, state)}, [row], code, notes)


class FigureBench(Explorer, FigureBenchModel):
    """Panel of the figures of a recorded comparison at the size of a venue."""

    ROWS = (("recording", "kind"), ("target", "names", "sight"))


def _at(figure: Figure, state: Any) -> Figure:
    """Return a figure at the size and in the colours of a state."""

    def draw(page_style: PageStyle) -> PlainFigure:
        traces, layout = _plain(state.kind, state.recording, state.names, state.target)
        return PlainFigure(all_seen(traces, state.sight), all_seen(layout, state.sight))

    return replace(figure, draw=draw)


@functools.lru_cache(maxsize=64)
def _plain(kind: str, recording: str, names: str, target: str) -> tuple[list[Any], dict[str, Any]]:
    """Return traces and layout of a figure at a venue's size."""
    style = PageStyle("page", target)
    plain = plain_parts(paper_figure(kind, recording, names).draw(style))
    layout = {key: value for key, value in plain["layout"].items() if key != "template"}
    if not style.on_screen:
        layout |= {"width": round(style.width), "height": layout.get("height") or style.height}
    return plain["data"], layout

"""Figure with caption, alt text and numbers, and the registry of figure functions.

A function registers itself with `@figure_function`. Tests and the gallery draw all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import plotly.graph_objects as go

from qtha_lab.core.patches import await_imports_in_plotly
from qtha_lab.core.registry import Registry
from qtha_lab.figures.machinery import static_svg
from qtha_lab.figures.machinery.export import TOOLBAR, export_figure
from qtha_lab.figures.machinery.legends import shorten_dashes
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import (
    PlainFigure,
    layout_of,
    plain_parts,
    plain_template,
    traces_of,
    uid,
    unchecked,
)
from qtha_lab.figures.machinery.table import Table

Draw = Callable[[PageStyle], go.Figure | PlainFigure]
PLOTLY = "application/vnd.plotly.v1+json"
await_imports_in_plotly()


@cache
def _template(page_style: PageStyle) -> dict[str, Any]:
    return plain_template(page_style.template())


@dataclass(frozen=True)
class Figure:
    """Result of a figure function; displays itself in Jupyter.

    Args:
        name: Stem of the file name.
        draw: Makes the plotly figure for a page style; size and template are set afterwards.
        caption: Content of the figure and its limits.
        alt: Finding in words, as alternative text.
        table: Numbers of the figure.
        theme: Theme on the screen.
        title: Title; None derives it from the name.

    Example:
        >>> from qtha_lab.figures import seed_spread
        >>> figure = seed_spread({"lora": [4.0, 4.2]})
        >>> figure.name, figure.title, figure.table.columns
        ('seeds_eval_loss', 'Evaluation loss by seed', ('method', 'run', 'eval_loss'))
        >>> figure.export("loss.pdf", target="two-column")  # doctest: +SKIP
        PosixPath('loss.pdf')
    """

    name: str
    draw: Draw = field(repr=False)
    caption: str
    alt: str
    table: Table = field(repr=False)
    theme: str = "light"
    title: str | None = None

    def __post_init__(self):
        object.__setattr__(self, "title", self.title or self.name.replace("_", " ").capitalize())
        PageStyle(self.theme)  # refuse an unknown theme before drawing

    @cached_property
    def plotly(self) -> go.Figure:
        """Return the plotly figure for the screen."""
        return self.at(PageStyle(self.theme))

    def at(self, page_style: PageStyle) -> go.Figure:
        """Return the plotly figure in a page style.

        The drawing may set its own height or margin.
        """
        figure = self._sized(self.draw(page_style), page_style)
        return figure.update_layout(template=page_style.template())

    def drawing(self, page_style: PageStyle) -> dict[str, Any]:
        """Return the content of `at` as plain data.

        This is faster, since plotly does not check the template again.
        """
        figure = self.draw(page_style)
        if isinstance(figure, PlainFigure) and page_style.on_screen:
            height = round(figure.layout.get("height") or page_style.height)
            layout = figure.layout | {"meta": self._meta, "height": height}
            traces = [trace | {"uid": uid(k)} for k, trace in enumerate(figure.traces)]
            figure = PlainFigure(traces, layout)
        else:
            figure = self._sized(figure, page_style)
            layout_of(figure).template = None
        drawing = plain_parts(figure)
        return {**drawing, "layout": {**drawing["layout"], "template": _template(page_style)}}

    @property
    def _meta(self) -> dict[str, str]:
        return {"caption": self.caption, "alt": self.alt}

    def _sized(self, drawn: go.Figure | PlainFigure, page_style: PageStyle) -> go.Figure:
        figure = unchecked(*drawn) if isinstance(drawn, PlainFigure) else drawn
        figure.update_layout(meta=self._meta)
        for number, trace in enumerate(traces_of(figure)):
            trace.uid = uid(number)
        layout = layout_of(figure)
        if not page_style.on_screen:
            shorten_dashes(figure)
            layout.width = round(page_style.width)
        layout.height = round(layout.height or page_style.height)
        return figure

    def svg(self) -> str:
        """Return the figure as SVG without a browser, readable on light and dark pages."""
        return static_svg.svg(self.drawing(PageStyle("page")), self.alt)

    def export(self, path: Path | str, **options) -> Path:
        """Write the figure to a file (see `qtha_lab.figures.machinery.export.export`)."""
        return export_figure(self, path, **options)

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        if bundle := self.plotly._repr_mimebundle_():
            if page := bundle.get(PLOTLY):
                page["config"] = {**page.get("config", {}), **TOOLBAR}
            content = {**bundle, "image/svg+xml": self.svg(), "text/plain": self.alt}
            alt = {"image/svg+xml": {"alt": self.alt}}  # nbconvert's name of it
            display(content, raw=True, metadata=alt)
        else:  # a renderer that opens a window, or no renderer
            display(self.plotly)
        caption = f'<span style="opacity:.75">{escape(self.caption)}</span>'
        display(HTML(f'<p role="note" aria-label="{escape(self.alt)}">{caption}</p>'))


class FigureFunction(NamedTuple):
    """Figure function with a function that returns example arguments."""

    name: str
    make: Callable[..., Figure]
    arguments: Callable[[], dict[str, Any]]

    def example(self, **changes: Any) -> Figure:
        """Return the figure of the example data."""
        return self.make(**{**self.arguments(), **changes})


FIGURES: Registry[FigureFunction] = Registry("figure", "qtha_lab.figures", group="qtha_lab.figures")


def figure_function(example: Callable[[], dict[str, Any]]) -> Callable:
    """Register the decorated function.

    Args:
        example: Returns example keyword arguments, for tests and the gallery.

    Example:
        >>> [entry.name for entry in figure_functions()][:2]
        ['angle_landscape', 'best_of_trials']
        >>> FIGURES["pareto"].example().name
        'pareto_eval_loss_trainable_parameters'
    """

    def register(function: Callable[..., Figure]) -> Callable[..., Figure]:
        entry = FigureFunction(function.__name__, function, example)
        FIGURES.add(entry.name, entry, function.__module__)
        return function

    return register


def figure_functions() -> list[FigureFunction]:
    """Return all figure functions, by name."""
    return list(FIGURES.values())

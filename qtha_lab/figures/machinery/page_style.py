"""Page styles of figures: theme, and sizes of the target medium.

Lengths are in CSS pixels (96 to the inch), as in plotly; a font of 8 pt has 10.67 pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple, cast

import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import legends, theme
from qtha_lab.figures.machinery.parts import layout_of
from qtha_lab.figures.machinery.theme import Inks

PIXELS_PER_INCH = 96
PIXELS_PER_POINT = PIXELS_PER_INCH / 72
LEGENDS = ("auto", "below", "above", "ends", "none")
MOST_LEGEND = 0.15  # of the height; a higher legend moves to the ends of the lines where possible
# plotly's own: line height over font size; height of a legend key and gap, in pixels
LINE, KEY, BETWEEN = 1.3, 16, 3
LETTER = 0.56  # the mean width of a letter over the font size, in Helvetica and Arial


class Target(NamedTuple):
    """Target medium: width, aspect ratio, and sizes of text, lines and markers.

    A figure is drawn smaller by `zoom` and enlarged on export, since plotly's legend keys have a
    fixed size.
    """

    width_inches: float
    ratio: float
    font_points: float
    line_points: float
    marker_points: float
    zoom: float = 1.0
    tallest: float = 1.5  # largest height over width to which a legend may extend a figure


# Source: the two column widths are those of IEEE journals; a beamer slide (16:9) is 6.3 in wide.
TARGETS = {
    "screen": Target(7.5, 0.52, 9.75, 1.5, 6.0),
    "one-column": Target(3.5, 0.7, 8.0, 1.1, 4.0),
    "two-column": Target(7.16, 0.4, 8.0, 1.2, 4.5),
    "beamer": Target(5.6, 0.52, 10.0, 1.6, 5.5, tallest=0.58),
    "poster": Target(14.0, 0.52, 26.0, 4.0, 13.0, zoom=2.5),
}


@dataclass(frozen=True)
class PageStyle:
    """Page style of a figure: a theme at a target medium.

    Drawing functions use no other information about the page.

    Attributes:
        theme: "light", "dark" or "page".
        target: Target medium, a name in `TARGETS`.
        family: Font family; "" uses the theme's.
        points: Font size; 0 uses the target's.
        inches: Width; 0 uses the target's.
        names: Display names in the figure, as pairs of label and name.
        legend: Position of line names: "above" or "below" the axes, at the "ends" of lines, or
            "none". "auto" is below. If that is too high, it is at line ends or single points,
            or else below without the options that all labels of a method share.

    Example:
        >>> paper = PageStyle(target="one-column")
        >>> paper.width, round(paper.font, 2)
        (336.0, 10.67)
    """

    theme: str = "light"
    target: str = "screen"
    family: str = ""
    points: float = 0.0
    inches: float = 0.0
    names: tuple[tuple[str, str], ...] = ()
    legend: str = "above"

    def __post_init__(self):
        if self.legend not in LEGENDS:
            raise Refusal(f"legend must be one of {', '.join(LEGENDS)}, got {self.legend!r}.")
        for name, value, most in (("points", self.points, 72), ("inches", self.inches, 40)):
            if not 0 <= value <= most:
                raise Refusal(f"{name} must be above 0 and at most {most}, got {value:g}.")
        if self.target not in TARGETS:
            raise Refusal(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}.")
        self.inks  # noqa: B018  (refuses an unknown theme before drawing)

    @property
    def inks(self) -> Inks:
        """Colours of text, grid and paper."""
        return theme.inks(self.theme)

    @property
    def on_screen(self) -> bool:
        """True if the width is that of the reader's window."""
        return self.target == "screen"

    @property
    def narrow(self) -> bool:
        """True if two panels side by side would be too small to read."""
        return self.width / self.font < 36

    zoom = cached_property(lambda self: TARGETS[self.target].zoom)
    width = cached_property(
        lambda self: self._pixels(72 * (self.inches or TARGETS[self.target].width_inches))
    )
    height = cached_property(lambda self: round(self.width * TARGETS[self.target].ratio))
    font = cached_property(
        lambda self: self._pixels(self.points or TARGETS[self.target].font_points)
    )
    line = cached_property(lambda self: self._pixels(TARGETS[self.target].line_points))
    marker = cached_property(lambda self: self._pixels(TARGETS[self.target].marker_points))
    small = cached_property(lambda self: 0.86 * self.font)

    def _pixels(self, points: float) -> float:
        return points * PIXELS_PER_POINT / self.zoom

    def text_width(self, text: str, font: float | None = None) -> float:
        """Estimate the width of a text in pixels, that of its longest line."""
        return max(map(len, text.split("<br>"))) * LETTER * (font or self.font)

    def name_of(self, label: str) -> str:
        """Return the display name of a label: that of this figure, else its title."""
        return dict(self.names).get(label, shown(label))

    def wrap(self, text: str, width: float) -> str:
        """Break a text after commas and spaces to fit a width, joined by `<br>`."""
        lines, text = [""], self.name_of(text)
        for word in text.replace(",", ",\0").replace(" ", " \0").split("\0"):
            if lines[-1] and self.text_width(lines[-1] + word) > width:
                lines.append("")
            lines[-1] += word
        return "<br>".join(line.rstrip() for line in lines)

    def template(self) -> go.layout.Template:
        """Return the theme's template with this target's sizes."""
        template = go.layout.Template(theme.template(self.theme))
        layout = cast(Any, template.layout)  # plotly has no type for it
        layout.font.size = self.font
        if self.family:
            layout.font.family = self.family
        for axis in (layout.xaxis, layout.yaxis):
            axis.update(
                tickfont_size=self.small,
                title_font_size=self.font,
                ticklen=0.3 * self.font,
                title_standoff=0.4 * self.font,
                linewidth=max(1, 0.08 * self.font),
                gridwidth=max(0.5, 0.05 * self.font),
            )
            axis.tickwidth = axis.linewidth
            if self.theme == "page":
                axis.ticklabeloverflow = (
                    "allow"  # otherwise plotly measures every label at every redraw
                )
        layout.margin = {
            "l": 3.4 * self.font,
            "r": self.font,
            "t": self.font,
            "b": 3 * self.font,
        }
        return template

    def line_of(self, label: str, style: dict[str, str] | None = None, **changes) -> go.Scatter:
        """Return a line with markers in a method's plot style and this page's sizes."""
        return go.Scatter(self.plain_line(label, style)).update(changes)

    def plain_line(self, label: str, style: dict[str, str] | None = None) -> dict[str, Any]:
        """Return the content of `line_of` as plain data (see `parts.unchecked`)."""
        style = style or theme.method_style(label)
        line = {"color": style["color"], "dash": style["dash"], "width": self.line}
        marker = {"symbol": style["symbol"], "size": self.marker, "color": style["color"]}
        name = self.wrap(label, self.width - 6 * self.font)
        return {
            "type": "scatter",
            "name": name,
            "mode": "lines+markers",
            "line": line,
            "marker": marker,
        }

    def colorbar(self, title: str, ticks: dict) -> dict:
        """Return a colour bar with these ticks (see `qtha_lab.figures.machinery.labels`)."""
        font = {"size": self.font}
        small = {"size": self.small}
        return {
            "title": {"text": title, "font": font},
            "thickness": self.font,
            "tickfont": small,
            "outlinewidth": 0,
            **ticks,
        }

    def with_legend(self, figure: go.Figure, names: Sequence[str]) -> go.Figure:
        """Return the figure with a legend of these names, extended by its height.

        The page style sets its position. Names stand in columns as wide as the widest name; a name
        wider than the page is wrapped.
        """
        whole = list(dict.fromkeys(names))
        names = [self.wrap(name, self.width - 6 * self.font) for name in whole]
        if self.legend == "none" or not names:
            return figure.update_layout(showlegend=False)
        page = self.width, layout_of(figure).height or self.height
        too_tall = self.legend == "auto" and self._legend_space(names)[2] > MOST_LEGEND * page[1]
        at_ends = self.legend == "ends" or too_tall
        if at_ends and legends.name_ends(figure, names, self.font, page):
            return figure.update_layout(showlegend=False)
        if too_tall and not self.names:
            short = list(legends.short_names(whole).values())
            legends.rename(figure, dict(zip(names, short, strict=True)))
            if legends.name_points(figure, short, self.small, page):
                return figure.update_layout(showlegend=False)
            return replace(self, legend="below").with_legend(figure, short)
        return figure.update_layout(**self._legend(names, layout_of(figure).height))

    def _legend_space(self, names: Sequence[str]) -> tuple[float, float, float]:
        """Return the legend's font size, the width of its widest name, and its height.

        The legend stands above or below the axes.
        """
        below = self.legend != "above"
        font = self.small if below else self.font
        widest = max(self.text_width(name, font) for name in names) + 0.4 * font
        space = self.width - (1 if below else 5.5) * self.font
        columns = max(1, int(space // (widest + 3.8 * self.font)))
        tall = [max(LINE * (1 + name.count("<br>")) * font, KEY) + BETWEEN for name in names]
        space = sum(tall) if columns == 1 else max(tall) * math.ceil(len(names) / columns)
        return font, widest, space + (0.4 if below else 0.9) * font

    def _legend(self, names: Sequence[str], height: float | None) -> dict[str, Any]:
        """Return the layout entries of a legend above or below, with the new figure height."""
        font, widest, space = self._legend_space(names)
        legend = {
            "orientation": "h", "entrywidth": widest, "entrywidthmode": "pixels", "itemwidth": 30,
            "xref": "container", "x": 0.01, "xanchor": "left", "tracegroupgap": 0,
            "yref": "container", "bgcolor": "rgba(0,0,0,0)",
            "maxheight": 1.0,  # otherwise plotly cuts a legend off at half of the height
        }  # fmt: skip
        height = (height or self.height) + max(0, space - 2.5 * self.font)
        height = min(height, self.width * TARGETS[self.target].tallest)
        if self.legend != "above":
            legend |= {"y": 0.005, "yanchor": "bottom", "font": {"size": font}}
            margin = {"t": self.font, "b": space + 2.6 * self.font}
        else:
            legend |= {"y": 0.995, "yanchor": "top"}
            margin = {"t": space}
        return {"legend": legend, "height": height, "showlegend": True, "margin": margin}

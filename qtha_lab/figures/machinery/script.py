"""A figure as a short matplotlib script, for a journal's own fonts: every line a call that a person can edit.

Writes text and runs nothing. Knows what this package's figures hold: lines, marks, bands, bars, cells, shapes and
notes; the script needs matplotlib alone.
"""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from html import unescape
from typing import Any

import plotly.graph_objects as go

from qtha_lab.figures.machinery import legends
from qtha_lab.figures.machinery.look import PIXELS_PER_INCH, PIXELS_PER_POINT, Look
from qtha_lab.figures.machinery.parts import plain
from qtha_lab.figures.machinery.theme import inks

SYMBOLS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P", "x": "X",
    "pentagon": "p", "star": "*", "line-ns": "|", "line-ew": "_", "arrow": "^", "circle-open": "o",
}  # fmt: skip
STEPS = {"hv": "steps-post", "vh": "steps-pre"}
ANCHORS = {"left": "left", "right": "right", "center": "center", "auto": "center"}
HEIGHTS = {"top": "top", "bottom": "bottom", "middle": "center", "auto": "center"}


def matplotlib_script(figure: go.Figure, look: Look, words: dict[str, str]) -> str:
    """The script that draws a figure.

    Args:
        figure: As drawn for the look.
        look: Its sizes and fonts.
        words: What is said of it, by name; `title` and `description` head the script.

    Returns:
        Python that writes `NAME.pdf` beside itself, or what is named on its command line.
    """
    return Script(plain(figure), look).text(words)


class Script:
    """The lines of a script, from a figure as plain data."""

    def __init__(self, drawing: dict[str, Any], look: Look):
        self.data, self.layout, self.look = drawing["data"], drawing["layout"], look
        self.zoom = look.zoom
        self.pairs = list(dict.fromkeys(_axes_of(trace) for trace in self.data)) or [("x", "y")]
        self.names = {pair: f"axes[{place}]" for place, pair in enumerate(self.pairs)}
        self.seen: set[str] = set()

    def text(self, words: dict[str, str]) -> str:
        """The whole script."""
        title, alt = (_safe(words.get(key, "")) for key in ("title", "description"))
        rest = [
            f"{name}: {_safe(text)}"
            for name, text in words.items()
            if name not in ("title", "description")
        ]
        head = [
            '"""' + (title or "A figure") + ".",
            "",
            alt,
            "",
            *rest,
            "",
            "Run it with Python; matplotlib is all it needs.",
        ]
        lines = [
            *head, '"""', "", "import sys", "from pathlib import Path", "",
            "import matplotlib", "", 'matplotlib.use("Agg")', "import matplotlib.pyplot as plt", "from matplotlib import patches", "",
            f"plt.rcParams.update({self._style()!r})", *self._panels(), "",
        ]  # fmt: skip
        for trace, before in zip(self.data, [{}, *self.data], strict=False):
            lines += self._trace(trace, before)
        lines += self._shapes() + self._notes() + self._axes() + self._legend()
        lines += [
            "", 'target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".pdf")',
            "figure.savefig(target, dpi=300)",
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def points(self, pixels: float) -> float:
        """A length of the page in points."""
        return round(pixels / PIXELS_PER_POINT * self.zoom, 3)

    def _style(self) -> dict[str, Any]:
        ink = inks(self.look.theme)
        font = self.points(self.look.font)
        family = self.look.family or "sans-serif"
        return {
            "font.family": [part.strip() for part in family.split(",")], "font.size": font,
            "axes.labelsize": font, "xtick.labelsize": round(0.86 * font, 2), "ytick.labelsize": round(0.86 * font, 2),
            "legend.fontsize": font, "text.color": ink.text, "axes.labelcolor": ink.text,
            "axes.edgecolor": ink.text, "xtick.color": ink.text, "ytick.color": ink.text, "grid.color": ink.grid,
            "grid.linewidth": 0.5, "axes.linewidth": 0.7, "figure.facecolor": ink.paper, "axes.facecolor": ink.paper,
            "savefig.facecolor": ink.paper, "axes.spines.top": False, "axes.spines.right": False,
            "axes.axisbelow": True, "pdf.fonttype": 42, "svg.fonttype": "none",
        }  # fmt: skip

    def _panels(self) -> list[str]:
        """Axes that fill the page for a diagram; else a grid as the domains lie."""
        width, height = (
            round((self.layout.get(side) or size) * self.zoom / PIXELS_PER_INCH, 3)
            for side, size in (("width", self.look.width), ("height", self.look.height))
        )
        margin = self.layout.get("margin") or {}
        if all(margin.get(side) == 0 for side in "lrtb"):
            return [
                f"figure = plt.figure(figsize=({width}, {height}))",
                "axes = [figure.add_axes((0, 0, 1, 1))]",
            ]
        domains = [[self._domain(name) for name in pair] for pair in self.pairs]
        columns, rows = _cells_of([d[0] for d in domains]), _cells_of([d[1] for d in domains])
        rows.reverse()  # of matplotlib the first row is the highest
        ratios = {
            "width_ratios": [round(b - a, 3) for a, b in columns],
            "height_ratios": [round(b - a, 3) for a, b in rows],
        }
        lines = [
            f"figure = plt.figure(figsize=({width}, {height}), layout=\"constrained\")",
            f"grid = figure.add_gridspec({len(rows)}, {len(columns)}, **{ratios!r})",
        ]  # fmt: skip
        places = ", ".join(f"grid[{_span(d[1], rows)}, {_span(d[0], columns)}]" for d in domains)
        return [*lines, f"axes = [figure.add_subplot(place) for place in ({places},)]"]

    def _domain(self, name: str) -> tuple[float, float]:
        """From where to where on the page an axis goes, as shares."""
        start, end = self._axis(name).get("domain") or (0.0, 1.0)
        return start, end

    def _axis(self, name: str) -> dict[str, Any]:
        return self.layout.get(f"{name[0]}axis{name[1:]}") or {}

    # ---- what is drawn

    def _trace(self, trace: dict[str, Any], before: dict[str, Any]) -> list[str]:
        kind = trace.get("type", "scatter")
        if kind == "bar":
            return self._bars(trace)
        if kind == "heatmap":
            return self._cells(trace)
        return self._scatter(trace, before)

    def _scatter(self, trace: dict[str, Any], before: dict[str, Any]) -> list[str]:
        x, y = self._along(trace), list(trace.get("y") or ())
        if not x or not y:
            return []
        axes, mode = self.names[_axes_of(trace)], trace.get("mode", "lines")
        xs, ys = _numbers(x), _numbers(y)
        lines = []
        if (scaled := trace.get("marker") or {}).get("showscale"):
            lines += self._scale(scaled, axes)
        if trace.get("fill") == "tonexty" and before.get("x"):
            fill = _color(trace.get("fillcolor") or "#767676")
            low, high = _numbers(before["y"]), ys
            lines.append(f"{axes}.fill_between({xs}, {low}, {high}, color={fill}, linewidth=0)")
        line, marker = trace.get("line") or {}, trace.get("marker") or {}
        if ("lines" in mode and line.get("width", 2)) or (
            "markers" in mode and marker.get("opacity") != 0
        ):
            lines += self._errors(trace, axes, xs, ys)
            lines += self._plot(trace, axes, xs, ys)
        if "text" in mode:
            lines += self._texts(trace, axes)
        return lines

    def _plot(self, trace: dict[str, Any], axes: str, xs: str, ys: str) -> list[str]:
        """Lines and marks; marks of many colours, sizes or symbols by themselves."""
        line, marker, mode = (
            trace.get("line") or {},
            trace.get("marker") or {},
            trace.get("mode", "lines"),
        )
        options: dict[str, Any] = {}
        has_line = "lines" in mode and line.get("width", 2) > 0
        color = line.get("color") or marker.get("color")
        options["color"] = _color(color if isinstance(color, str) else "#767676")
        options["linestyle"] = _dash(line.get("dash"), line.get("width", 2)) if has_line else '""'
        if has_line:
            options["linewidth"] = self.points(line.get("width", 2))
        if (line.get("shape") or "") in STEPS:
            options["drawstyle"] = repr(STEPS[line["shape"]])
        many = "markers" in mode and any(
            isinstance(marker.get(key), list)
            for key in ("color", "size", "opacity", "symbol", "angle")
        )
        if "markers" in mode and not many:
            options |= self._marker(marker)
        if trace.get("opacity") is not None:
            options["alpha"] = trace["opacity"]
        if label := self._label(trace):
            options["label"] = repr(label)
        lines = [f"{axes}.plot({xs}, {ys}, {_keywords(options)})"] if has_line or not many else []
        return lines + (self._many(trace, axes) if many else [])

    def _marker(self, marker: dict[str, Any]) -> dict[str, Any]:
        symbol, edge = marker.get("symbol", "circle"), marker.get("line") or {}
        options: dict[str, Any] = {
            "marker": repr(SYMBOLS.get(symbol, "o")),
            "markersize": self.points(marker.get("size", 6)),
        }
        if isinstance(marker.get("color"), str):
            options["markerfacecolor"] = _color(marker["color"])
        if edge.get("width") and isinstance(edge.get("color"), str):
            options["markeredgecolor"] = _color(edge["color"])
            options["markeredgewidth"] = self.points(edge["width"])
        elif symbol not in ("line-ns", "line-ew"):
            options["markeredgewidth"] = 0
        if symbol.endswith("-open"):
            options |= {"markerfacecolor": '"none"', "markeredgewidth": self.points(1)}
        return options

    def _many(self, trace: dict[str, Any], axes: str) -> list[str]:
        marker, count = trace["marker"], len(trace["x"])
        color, size, opacity = (
            _each(marker.get(k, d), count)
            for k, d in (("color", "#767676"), ("size", 6), ("opacity", 1))
        )
        symbols = _each(marker.get("symbol", "circle"), count)
        angles = _each(marker.get("angle", 0), count)
        along = self._along(trace)
        if all(isinstance(c, int | float) or c is None for c in color):
            color = _on_scale([c or 0.0 for c in color], marker)
        lines = []
        for symbol, angle in dict.fromkeys(zip(symbols, angles, strict=True)):
            places = [
                k for k, s in enumerate(zip(symbols, angles, strict=True)) if s == (symbol, angle)
            ]
            xs, ys = (_numbers([values[k] for k in places]) for values in (along, trace["y"]))
            areas = [round(self.points(size[k]) ** 2, 2) for k in places]
            shades = ", ".join(_color(color[k]) for k in places)
            lines.append(
                f"{axes}.scatter({xs}, {ys}, s={areas}, c=[{shades}], alpha={[opacity[k] for k in places]}, "
                f"marker={_turned(symbol, angle)}, linewidths=0, zorder=3)"
            )
        return lines

    def _errors(self, trace: dict[str, Any], axes: str, xs: str, ys: str) -> list[str]:
        options: dict[str, Any] = {}
        for letter in "xy":
            bar = trace.get(f"error_{letter}") or {}
            if bar.get("array"):
                low = bar.get("arrayminus") or bar["array"]
                options[f"{letter}err"] = f"[{_numbers(low)}, {_numbers(bar['array'])}]"
                options["elinewidth"] = self.points(bar.get("thickness", 1))
                options["capsize"] = round(self.points(bar.get("width", 0)) / 2, 3)
        if not options:
            return []
        color = (trace.get("line") or {}).get("color") or (trace.get("marker") or {}).get("color")
        color = _color(color if isinstance(color, str) else "#767676")
        return [f'{axes}.errorbar({xs}, {ys}, fmt="none", ecolor={color}, {_keywords(options)})']

    def _texts(self, trace: dict[str, Any], axes: str) -> list[str]:
        height, side = (trace.get("textposition") or "middle center").split()
        anchor = {"left": "right", "right": "left", "center": "center"}[
            side
        ]  # plotly's is where the text lies
        rise = {"top": "bottom", "bottom": "top", "middle": "center"}[height]
        font = trace.get("textfont") or {}
        size = self.points(font.get("size", self.look.font))
        color = f", color={_color(font['color'])}" if isinstance(font.get("color"), str) else ""
        texts = _each(trace.get("text") or "", len(trace["x"]))
        return [
            f"{axes}.text({x!r}, {y!r}, {_words(word)!r}, ha={anchor!r}, va={rise!r}, fontsize={size}{color})"
            for x, y, word in zip(trace["x"], trace["y"], texts, strict=True)
            if word and x is not None and y is not None
        ]

    def _bars(self, trace: dict[str, Any]) -> list[str]:
        axes = self.names[_axes_of(trace)]
        beside = [t for t in self.data if t.get("type") == "bar" and _axes_of(t) == _axes_of(trace)]
        overlaid = self.layout.get("barmode") in ("overlay", "stack", "relative")
        count = 1 if overlaid else len(beside)
        number = 0 if overlaid else next(k for k, t in enumerate(beside) if t is trace)
        x, width = list(trace["x"]), 0.85 / count
        color: Any = (trace.get("marker") or {}).get("color")
        options: dict[str, Any] = {"width": round(width, 4)}
        if isinstance(color, list) and not isinstance(color[0], str):
            color = _on_scale(color, trace["marker"])
        shades: list[Any] = [color or "#767676"] if isinstance(color or "", str) else color
        options["color"] = f"[{', '.join(map(_color, shades))}]"
        if label := self._label(trace):
            options["label"] = repr(label)
        words = any(isinstance(value, str) for value in x)
        at = self._along(trace)
        shifted = [value + (number - (count - 1) / 2) * width for value in at]
        lines = [f"{axes}.bar({_numbers(shifted)}, {_numbers(trace['y'])}, {_keywords(options)})"]
        if words:
            names = self._categories(_axes_of(trace)[0])
            lines.append(
                f"{axes}.set_xticks({list(range(len(names)))!r}, {[_words(v) for v in names]!r})"
            )
        return lines

    def _along(self, trace: dict[str, Any]) -> list[Any]:
        """Where the values of a trace lie along its axis: words at the places that all traces of the axis give them."""
        x = list(trace.get("x") or ())
        if not any(isinstance(value, str) for value in x) or trace.get("orientation") == "h":
            return x
        places = {name: place for place, name in enumerate(self._categories(_axes_of(trace)[0]))}
        return [places[value] for value in x]

    def _categories(self, name: str) -> list[str]:
        """The words along an axis, in the order that it gives them, else in that of the traces."""
        listed = list(self._axis(name).get("categoryarray") or ())
        of_traces = [t for t in self.data if _axes_of(t)[0] == name]
        return list(dict.fromkeys([*listed, *(v for t in of_traces for v in t.get("x") or ())]))

    def _cells(self, trace: dict[str, Any]) -> list[str]:
        axes, z = self.names[_axes_of(trace)], trace["z"]
        low, high = trace.get("zmin"), trace.get("zmax")
        rows = "[" + ", ".join(_numbers(row) for row in z) + "]"
        scale = (
            [[a, color] for a, color in trace["colorscale"]]
            if isinstance(trace.get("colorscale"), list)
            else None
        )
        name = f"cells{self.data.index(trace)}"
        lines = []
        cmap = '"viridis"'
        if scale:
            lines.append(
                f"{name}_colors = matplotlib.colors.LinearSegmentedColormap.from_list({name!r}, "
                f"[{', '.join(f'({a!r}, {_color(color)})' for a, color in scale)}])"
            )
            cmap = f"{name}_colors"
        edges = [
            self._edges(trace.get(letter), count)
            for letter, count in (("x", len(z[0])), ("y", len(z)))
        ]
        lines.append(
            f"{name} = {axes}.pcolormesh({edges[0]}, {edges[1]}, {rows}, cmap={cmap}, vmin={low!r}, vmax={high!r})"
        )
        for letter, count in (("x", len(z[0])), ("y", len(z))):
            values = trace.get(letter)
            if values and isinstance(values[0], str):
                lines.append(
                    f"{axes}.set_{letter}ticks({list(range(count))}, {[_words(v) for v in values]!r})"
                )
        if bar := trace.get("colorbar"):
            lines += self._colorbar(bar, name, axes)
        return lines

    def _scale(self, marker: dict[str, Any], axes: str) -> list[str]:
        """The colour bar of marks."""
        stops = ", ".join(f"({place!r}, {_color(color)})" for place, color in marker["colorscale"])
        return [
            f'colors = matplotlib.colors.LinearSegmentedColormap.from_list("colors", [{stops}])',
            f"norm = matplotlib.colors.Normalize({marker.get('cmin')!r}, {marker.get('cmax')!r})",
            "scale = matplotlib.cm.ScalarMappable(norm, colors)",
            *self._colorbar(marker.get("colorbar") or {}, "scale", axes),
        ]

    def _colorbar(self, bar: dict[str, Any], mappable: str, axes: str) -> list[str]:
        title = bar.get("title") or {}
        text = _words(title if isinstance(title, str) else title.get("text") or "")
        lines = [f"bar = figure.colorbar({mappable}, ax={axes}, label={text!r})"]
        if bar.get("tickvals"):
            labels = [_words(t) for t in bar.get("ticktext") or bar["tickvals"]]
            lines.append(f"bar.set_ticks({bar['tickvals']!r}, labels={labels!r})")
        return lines

    def _edges(self, values: Sequence[Any] | None, count: int) -> str:
        """The edges of cells, halfway between their middles."""
        if not values or isinstance(values[0], str):
            return _numbers([k - 0.5 for k in range(count + 1)])
        if len(values) == 1:
            return _numbers([values[0] - 0.5, values[0] + 0.5])
        half = [(a + b) / 2 for a, b in itertools.pairwise(values)]
        return _numbers([2 * values[0] - half[0], *half, 2 * values[-1] - half[-1]])

    # ---- around it

    def _where(self, part: dict[str, Any]) -> tuple[str, str]:
        """The axes that a shape or note belongs to, and the transform of its numbers."""
        refs = [part.get(f"{letter}ref") or letter for letter in "xy"]
        shares = [ref == "paper" or ref.endswith("domain") for ref in refs]
        axes = self.names[self._pair(part, refs)]
        if shares[0] == shares[1]:
            return axes, f"{axes}.{'transAxes' if shares[0] else 'transData'}"
        return axes, f"{axes}.get_{'y' if shares[0] else 'x'}axis_transform()"

    def _pair(self, part: dict[str, Any], refs: Sequence[str]) -> tuple[str, str]:
        """The axes that a part is drawn on: those it names, and where it stands on the page the nearest."""

        def distance(pair: tuple[str, str]) -> float:
            apart = 0.0
            for letter, ref, name in zip("xy", refs, pair, strict=True):
                if ref == "paper":
                    low, high = self._axis(name).get("domain") or (0, 1)
                    share = part.get(letter, part.get(f"{letter}0", 0.5))
                    apart += max(low - share, share - high, 0) + 1e-3 * abs(share - high)
                elif ref.split(" ")[0] != name:
                    apart += 10
            return apart

        return min(self.pairs, key=distance)

    def _share(self, part: dict[str, Any], letter: str, value: float) -> float:
        """A share of the page as a share of the axes that it lies on."""
        refs = [part.get(f"{each}ref") or each for each in "xy"]
        if part.get(f"{letter}ref") != "paper":
            return value
        name = self._pair(part, refs)["xy".index(letter)]
        low, high = self._axis(name).get("domain") or (0, 1)
        return round((value - low) / ((high - low) or 1), 5)

    def _shapes(self) -> list[str]:
        lines = []
        for shape in self.layout.get("shapes") or ():
            axes, transform = self._where(shape)
            ink = shape.get("line") or {}
            width = self.points(ink.get("width", 2))
            color = _color(ink.get("color") or inks(self.look.theme).text)
            order = 0.5 if shape.get("layer") == "below" else 2.5
            x0, x1, y0, y1 = (
                self._share(shape, key[0], shape.get(key, 0)) for key in ("x0", "x1", "y0", "y1")
            )
            if shape["type"] == "line":
                dash = _dash(ink.get("dash"), ink.get("width", 2))
                lines.append(
                    f"{axes}.plot([{x0!r}, {x1!r}], [{y0!r}, {y1!r}], color={color}, linewidth={width}, linestyle={dash}, "
                    f"transform={transform}, zorder={order}, scalex=False, scaley=False)"
                )
                continue
            fill = _color(shape["fillcolor"]) if shape.get("fillcolor") else '"none"'
            edge = color if width else '"none"'
            options = f"facecolor={fill}, edgecolor={edge}, linewidth={width}, transform={transform}, zorder={order + 0.2}"
            patch = (
                f"patches.Ellipse(({(x0 + x1) / 2!r}, {(y0 + y1) / 2!r}), {abs(x1 - x0)!r}, {abs(y1 - y0)!r}, {options})"
                if shape["type"] == "circle"
                else f"patches.Rectangle(({min(x0, x1)!r}, {min(y0, y1)!r}), {abs(x1 - x0)!r}, {abs(y1 - y0)!r}, {options})"
            )
            lines.append(f"{axes}.add_patch({patch})")
        return lines

    def _notes(self) -> list[str]:
        lines = []
        for note in self.layout.get("annotations") or ():
            axes, transform = self._where(note)
            font = note.get("font") or {}
            x, y = (self._unlogged(note, letter) for letter in "xy")
            options: dict[str, Any] = {
                "xycoords": transform, "textcoords": '"offset points"',
                "xytext": (self.points(note.get("xshift") or 0), self.points(note.get("yshift") or 0)),
                "ha": repr(ANCHORS[note.get("xanchor") or "auto"]), "va": repr(HEIGHTS[note.get("yanchor") or "auto"]),
                "fontsize": self.points(font.get("size", self.look.font)), "annotation_clip": False,
            }  # fmt: skip
            if isinstance(font.get("color"), str):
                options["color"] = _color(font["color"])
            if angle := note.get("textangle"):
                options["rotation"] = -angle
            if note.get("bgcolor"):
                options["bbox"] = (
                    f"dict(facecolor={_color(note['bgcolor'])}, edgecolor='none', pad=0.5)"
                )
            lines.append(
                f"{axes}.annotate({_words(note.get('text') or '')!r}, ({x!r}, {y!r}), {_keywords(options)})"
            )
        return lines

    def _unlogged(self, note: dict[str, Any], letter: str) -> Any:
        """Where a note stands; plotly has it as a logarithm on a logarithmic axis."""
        ref, value = note.get(f"{letter}ref") or letter, note.get(letter, 0)
        if ref == "paper":
            return self._share(note, letter, value)
        return (
            10.0**value if self._axis(ref).get("type") == "log" and "domain" not in ref else value
        )

    def _axes(self) -> list[str]:
        lines = []
        for pair in self.pairs:
            axes, hidden = self.names[pair], []
            for letter, name in zip("xy", pair, strict=True):
                axis = self._axis(name)
                log = axis.get("type") == "log"
                if axis.get("visible") is False or (
                    axis.get("showticklabels") is False and not axis.get("showline", True)
                ):
                    hidden.append(letter)
                if log:
                    lines.append(f'{axes}.set_{letter}scale("log")')
                if text := (axis.get("title") or {}).get("text"):
                    lines.append(f"{axes}.set_{letter}label({_words(text)!r})")
                if (values := axis.get("tickvals")) is not None:
                    named = [_words(text) for text in axis.get("ticktext") or map(str, values)]
                    lines.append(f"{axes}.set_{letter}ticks({list(values)!r}, {named!r})")
                    lines.append(f"{axes}.minorticks_off()") if log else None
                if axis.get("range"):
                    ends = [10.0**end if log else end for end in axis["range"]]
                    lines.append(f"{axes}.set_{letter}lim({ends[0]!r}, {ends[1]!r})")
                elif axis.get("rangemode") == "tozero":
                    lines.append(
                        f"{axes}.set_{letter}lim({'left' if letter == 'x' else 'bottom'}=0)"
                    )
                elif axis.get("autorange") == "reversed":
                    lines.append(f"{axes}.invert_{letter}axis()")
                if angle := axis.get("tickangle"):
                    lines.append(f'{axes}.tick_params(axis="{letter}", rotation={-angle})')
                if axis.get("tickformat", "").endswith("%"):
                    lines.append(
                        f"{axes}.{letter}axis.set_major_formatter(matplotlib.ticker.PercentFormatter(1, 0))"
                    )
            if len(hidden) == 2:
                lines.append(f"{axes}.set_axis_off()")
            else:
                lines += [f"{axes}.{letter}axis.set_visible(False)" for letter in hidden]
                lines += [
                    f'{axes}.spines["{"bottom" if letter == "x" else "left"}"].set_visible(False)'
                    for letter in hidden
                ]
                lines.append(f"{axes}.grid(True)")
        return lines

    def _label(self, trace: dict[str, Any]) -> str:
        """What a trace is called in the legend; each name once."""
        name = trace.get("name") or ""
        has_legend = self.layout.get("showlegend") and trace.get("showlegend") is not False
        if not name or not has_legend or name in self.seen:
            return ""
        self.seen.add(name)
        return _words(name)

    def _legend(self) -> list[str]:
        if not self.seen:
            return []
        widest = max(self.look.text_width(name) for name in self.seen) + 4 * self.look.font
        columns = max(1, min(len(self.seen), int(self.look.width // widest)))
        side = "lower" if self.look.legend in ("auto", "below") else "upper"
        return [
            f'figure.legend(loc="outside {side} left", ncols={columns}, frameon=False, borderaxespad=0.2)'
        ]


def _turned(symbol: str, angle: float) -> str:
    """A symbol as source; one that points somewhere turned, clockwise in degrees from upward."""
    if symbol == "arrow":
        return f"(3, 0, {-round(angle, 1)!r})"
    return repr(SYMBOLS.get(symbol, "o"))


def _cells_of(domains: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """The columns (or rows) of a grid, in order: the parts of a page that no narrower part lies in."""
    cells: list[tuple[float, float]] = []
    for domain in sorted(set(domains), key=lambda part: part[1] - part[0]):
        if not any(_overlap(domain, cell) for cell in cells):
            cells.append(domain)
    return sorted(cells)


def _span(domain: tuple[float, float], cells: Sequence[tuple[float, float]]) -> str:
    """The cells that a panel covers, as an index: "0" or "0:3"."""
    covered = [k for k, cell in enumerate(cells) if _overlap(domain, cell)]
    return f"{covered[0]}:{covered[-1] + 1}" if len(covered) > 1 else f"{covered[0]}"


def _overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return min(a[1], b[1]) - max(a[0], b[0]) > 1e-9


def _axes_of(trace: dict[str, Any]) -> tuple[str, str]:
    return trace.get("xaxis") or "x", trace.get("yaxis") or "y"


def _each(value: Any, count: int) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value] * count


def _numbers(values: Iterable[Any]) -> str:
    """Values as Python writes them; what is missing is nan."""
    return "[" + ", ".join(_number(value) for value in values) + "]"


def _number(value: Any) -> str:
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return 'float("nan")'
    return f"{value:.7g}" if isinstance(value, float) else repr(value)


def _keywords(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in options.items())


def _color(color: Any) -> str:
    """A colour as matplotlib takes it, as source."""
    match = re.fullmatch(r"rgba?\(([^)]*)\)", str(color))
    if not match:
        return repr(color)
    red, green, blue, *alpha = (float(part) for part in match[1].split(","))
    parts = [round(part / 255, 4) for part in (red, green, blue)] + [round(a, 4) for a in alpha]
    return f"({', '.join(map(str, parts))})"


def _on_scale(values: Sequence[float], marker: dict[str, Any]) -> list[str]:
    from plotly.colors import sample_colorscale

    low, high = marker.get("cmin", min(values)), marker.get("cmax", max(values))
    span = (high - low) or 1.0
    shares = [min(1.0, max(0.0, (value - low) / span)) for value in values]
    scale = marker.get("colorscale") or "Viridis"
    return [str(color) for color in sample_colorscale(scale, shares)]


def _dash(dash: str | None, width: float) -> str:
    """A dash as source: lengths in widths of the line, as matplotlib scales them."""
    if not dash or dash == "solid":
        return '"-"'
    if dash in legends.DASHES:
        return repr((0, legends.DASHES[dash]))
    lengths = [float(part.removesuffix("px")) for part in dash.split(",")]
    return repr((0, tuple(round(length / max(width, 0.1), 3) for length in lengths)))


def _words(text: Any) -> str:
    """Text of the page as matplotlib shows it letter by letter."""
    plain_text = re.sub(r"</?(b|i|sub|sup|span|em)[^>]*>", "", str(text).replace("<br>", "\n"))
    return unescape(plain_text).replace("$", r"\$")


def _safe(text: str) -> str:
    """Text inside the script's first string."""
    return text.replace("\\", "/").replace('"""', "'''")

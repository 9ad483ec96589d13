"""What a figure draws, as calls of matplotlib: lines, marks, bands, bars and cells."""

import itertools
from collections.abc import Sequence
from typing import Any

from qtha_lab.figures.machinery import script_source as source
from qtha_lab.figures.machinery.script_page import ScriptPage, axes_of

SYMBOLS = {
    "circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P", "x": "X",
    "pentagon": "p", "star": "*", "line-ns": "|", "line-ew": "_", "arrow": "^", "circle-open": "o",
}  # fmt: skip
STEPS = {"hv": "steps-post", "vh": "steps-pre"}


def trace(page: ScriptPage, trace: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """The lines that draw a trace.

    Args:
        page: Whose trace it is.
        trace: As plain data.
        before: The one before it, to which a filled one reaches.
    """
    kind = trace.get("type", "scatter")
    if kind == "bar":
        return _bars(page, trace)
    if kind == "heatmap":
        return _cells(page, trace)
    return _scatter(page, trace, before)


def _scatter(page: ScriptPage, trace: dict[str, Any], before: dict[str, Any]) -> list[str]:
    x, y = page.along(trace, "x"), page.along(trace, "y")
    if not x or not y:
        return []
    axes, mode = page.names[axes_of(trace)], trace.get("mode", "lines")
    xs, ys = source.numbers(x), source.numbers(y)
    lines = []
    if (scaled := trace.get("marker") or {}).get("showscale"):
        lines += _scale(page, scaled, axes)
    if trace.get("fill") == "tonexty" and before.get("x"):
        fill = source.color(trace.get("fillcolor") or "#767676")
        low, high = source.numbers(before["y"]), ys
        lines.append(f"{axes}.fill_between({xs}, {low}, {high}, color={fill}, linewidth=0)")
    line, marker = trace.get("line") or {}, trace.get("marker") or {}
    if ("lines" in mode and line.get("width", 2)) or (
        "markers" in mode and marker.get("opacity") != 0
    ):
        lines += _errors(page, trace, axes, xs, ys)
        lines += _plot(page, trace, axes, xs, ys)
    if "text" in mode:
        lines += _texts(page, trace, axes)
    return lines


def _plot(page: ScriptPage, trace: dict[str, Any], axes: str, xs: str, ys: str) -> list[str]:
    """Lines and marks; marks of many colours, sizes or symbols by themselves."""
    line, marker, mode = (
        trace.get("line") or {},
        trace.get("marker") or {},
        trace.get("mode", "lines"),
    )
    options: dict[str, Any] = {}
    has_line = "lines" in mode and line.get("width", 2) > 0
    color = line.get("color") or marker.get("color")
    options["color"] = source.color(color if isinstance(color, str) else "#767676")
    options["linestyle"] = source.dash(line.get("dash"), line.get("width", 2)) if has_line else '""'
    if has_line:
        options["linewidth"] = page.points(line.get("width", 2))
    if (line.get("shape") or "") in STEPS:
        options["drawstyle"] = repr(STEPS[line["shape"]])
    many = "markers" in mode and any(
        isinstance(marker.get(key), list) for key in ("color", "size", "opacity", "symbol", "angle")
    )
    if "markers" in mode and not many:
        options |= _marker(page, marker)
    if trace.get("opacity") is not None:
        options["alpha"] = trace["opacity"]
    if label := page.label(trace):
        options["label"] = repr(label)
    lines = [f"{axes}.plot({xs}, {ys}, {source.keywords(options)})"] if has_line or not many else []
    return lines + (_many(page, trace, axes) if many else [])


def _marker(page: ScriptPage, marker: dict[str, Any]) -> dict[str, Any]:
    symbol, edge = marker.get("symbol", "circle"), marker.get("line") or {}
    options: dict[str, Any] = {
        "marker": repr(SYMBOLS.get(symbol, "o")),
        "markersize": page.points(marker.get("size", 6)),
    }
    if isinstance(marker.get("color"), str):
        options["markerfacecolor"] = source.color(marker["color"])
    if edge.get("width") and isinstance(edge.get("color"), str):
        options["markeredgecolor"] = source.color(edge["color"])
        options["markeredgewidth"] = page.points(edge["width"])
    elif symbol not in ("line-ns", "line-ew"):
        options["markeredgewidth"] = 0
    if symbol.endswith("-open"):
        options |= {"markerfacecolor": '"none"', "markeredgewidth": page.points(1)}
    return options


def _many(page: ScriptPage, trace: dict[str, Any], axes: str) -> list[str]:
    marker, count = trace["marker"], len(trace["x"])
    color, size, opacity = (
        source.each(marker.get(k, d), count)
        for k, d in (("color", "#767676"), ("size", 6), ("opacity", 1))
    )
    symbols = source.each(marker.get("symbol", "circle"), count)
    angles = source.each(marker.get("angle", 0), count)
    along = [page.along(trace, letter) for letter in "xy"]
    if all(isinstance(c, int | float) or c is None for c in color):
        color = source.on_scale([c or 0.0 for c in color], marker)
    lines = []
    for symbol, angle in dict.fromkeys(zip(symbols, angles, strict=True)):
        places = [
            k for k, s in enumerate(zip(symbols, angles, strict=True)) if s == (symbol, angle)
        ]
        xs, ys = (source.numbers([values[k] for k in places]) for values in along)
        areas = [round(page.points(size[k]) ** 2, 2) for k in places]
        shades = ", ".join(source.color(color[k]) for k in places)
        lines.append(
            f"{axes}.scatter({xs}, {ys}, s={areas}, c=[{shades}], alpha={[opacity[k] for k in places]}, "
            f"marker={_turned(symbol, angle)}, linewidths=0, zorder=3)"
        )
    return lines


def _errors(page: ScriptPage, trace: dict[str, Any], axes: str, xs: str, ys: str) -> list[str]:
    options: dict[str, Any] = {}
    for letter in "xy":
        bar = trace.get(f"error_{letter}") or {}
        if bar.get("array"):
            low = bar.get("arrayminus") or bar["array"]
            options[f"{letter}err"] = f"[{source.numbers(low)}, {source.numbers(bar['array'])}]"
            options["elinewidth"] = page.points(bar.get("thickness", 1))
            options["capsize"] = round(page.points(bar.get("width", 0)) / 2, 3)
    if not options:
        return []
    color = (trace.get("line") or {}).get("color") or (trace.get("marker") or {}).get("color")
    color = source.color(color if isinstance(color, str) else "#767676")
    return [f'{axes}.errorbar({xs}, {ys}, fmt="none", ecolor={color}, {source.keywords(options)})']


def _texts(page: ScriptPage, trace: dict[str, Any], axes: str) -> list[str]:
    height, side = (trace.get("textposition") or "middle center").split()
    anchor = {"left": "right", "right": "left", "center": "center"}[
        side
    ]  # plotly's is where the text lies
    rise = {"top": "bottom", "bottom": "top", "middle": "center"}[height]
    font = trace.get("textfont") or {}
    size = page.points(font.get("size", page.look.font))
    color = f", color={source.color(font['color'])}" if isinstance(font.get("color"), str) else ""
    texts = source.each(trace.get("text") or "", len(trace["x"]))
    return [
        f"{axes}.text({x!r}, {y!r}, {source.words(word)!r}, ha={anchor!r}, va={rise!r}, fontsize={size}{color})"
        for x, y, word in zip(*(page.along(trace, letter) for letter in "xy"), texts, strict=True)
        if word and x is not None and y is not None
    ]


def _bars(page: ScriptPage, trace: dict[str, Any]) -> list[str]:
    axes = page.names[axes_of(trace)]
    beside = [t for t in page.data if t.get("type") == "bar" and axes_of(t) == axes_of(trace)]
    overlaid = page.layout.get("barmode") in ("overlay", "stack", "relative")
    count = 1 if overlaid else len(beside)
    number = 0 if overlaid else next(k for k, t in enumerate(beside) if t is trace)
    width = 0.85 / count
    color: Any = (trace.get("marker") or {}).get("color")
    options: dict[str, Any] = {"width": round(width, 4)}
    if isinstance(color, list) and not isinstance(color[0], str):
        color = source.on_scale(color, trace["marker"])
    shades: list[Any] = [color or "#767676"] if isinstance(color or "", str) else color
    options["color"] = f"[{', '.join(map(source.color, shades))}]"
    if label := page.label(trace):
        options["label"] = repr(label)
    at = page.along(trace, "x")
    shifted = [value + (number - (count - 1) / 2) * width for value in at]
    return [
        f"{axes}.bar({source.numbers(shifted)}, {source.numbers(trace['y'])}, {source.keywords(options)})"
    ]


def _cells(page: ScriptPage, trace: dict[str, Any]) -> list[str]:
    axes, z = page.names[axes_of(trace)], trace["z"]
    low, high = trace.get("zmin"), trace.get("zmax")
    rows = "[" + ", ".join(source.numbers(row) for row in z) + "]"
    scale = (
        [[a, color] for a, color in trace["colorscale"]]
        if isinstance(trace.get("colorscale"), list)
        else None
    )
    name = f"cells{page.data.index(trace)}"
    lines = []
    cmap = '"viridis"'
    if scale:
        lines.append(
            f"{name}_colors = matplotlib.colors.LinearSegmentedColormap.from_list({name!r}, "
            f"[{', '.join(f'({a!r}, {source.color(color)})' for a, color in scale)}])"
        )
        cmap = f"{name}_colors"
    edges = [
        _edges(trace.get(letter), count) for letter, count in (("x", len(z[0])), ("y", len(z)))
    ]
    lines.append(
        f"{name} = {axes}.pcolormesh({edges[0]}, {edges[1]}, {rows}, cmap={cmap}, vmin={low!r}, vmax={high!r})"
    )
    if bar := trace.get("colorbar"):
        lines += _colorbar(page, bar, name, axes)
    return lines


def _scale(page: ScriptPage, marker: dict[str, Any], axes: str) -> list[str]:
    """The colour bar of marks."""
    stops = ", ".join(
        f"({place!r}, {source.color(color)})" for place, color in marker["colorscale"]
    )
    return [
        f'colors = matplotlib.colors.LinearSegmentedColormap.from_list("colors", [{stops}])',
        f"norm = matplotlib.colors.Normalize({marker.get('cmin')!r}, {marker.get('cmax')!r})",
        "scale = matplotlib.cm.ScalarMappable(norm, colors)",
        *_colorbar(page, marker.get("colorbar") or {}, "scale", axes),
    ]


def _colorbar(page: ScriptPage, bar: dict[str, Any], mappable: str, axes: str) -> list[str]:
    title = bar.get("title") or {}
    text = source.words(title if isinstance(title, str) else title.get("text") or "")
    lines = [f"bar = figure.colorbar({mappable}, ax={axes}, label={text!r})"]
    if bar.get("tickvals"):
        labels = [source.words(t) for t in bar.get("ticktext") or bar["tickvals"]]
        lines.append(f"bar.set_ticks({bar['tickvals']!r}, labels={labels!r})")
    return lines


def _edges(values: Sequence[Any] | None, count: int) -> str:
    """The edges of cells, halfway between their middles."""
    if not values or isinstance(values[0], str):
        return source.numbers([k - 0.5 for k in range(count + 1)])
    if len(values) == 1:
        return source.numbers([values[0] - 0.5, values[0] + 0.5])
    half = [(a + b) / 2 for a, b in itertools.pairwise(values)]
    return source.numbers([2 * values[0] - half[0], *half, 2 * values[-1] - half[-1]])


def _turned(symbol: str, angle: float) -> str:
    """A symbol as source; one that points somewhere turned, clockwise in degrees from upward."""
    if symbol == "arrow":
        return f"(3, 0, {-round(angle, 1)!r})"
    return repr(SYMBOLS.get(symbol, "o"))

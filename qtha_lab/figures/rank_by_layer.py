"""Plot of a rank per adapted layer: bars, or a heat map for many layers.

The caller names the measured view of the update. A rank does not measure quality.
"""

import functools
from collections.abc import Mapping

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import NO_TICKS, note, rule, striped
from qtha_lab.figures.machinery.table import Table

PATTERNS = ("", "/", "x", "\\", ".", "+", "-", "|")


def _example() -> dict:
    layers = [f"model.layers.{n}.self_attn.{p}_proj" for n in range(4) for p in "qv"]
    ranks = {
        "lora": dict(zip(layers, (6.1, 6.8, 5.9, 6.2, 5.5, 6.6, 5.8, 7.1), strict=True)),
        "qtha": dict(zip(layers, (2.2, 2.9, 2.1, 2.7, 1.9, 2.6, 2.3, 3.0), strict=True)),
    }
    return {"ranks": ranks, "limit": 8}


@figure_function(example=_example)
def rank_by_layer(
    ranks: Mapping[str, Mapping[str, float]],
    measure: str = "effective rank",
    limit: float | None = None,
    of: str = "the update",
    theme: str = "light",
) -> Figure:
    """Plot a rank of each layer's update by method.

    Args:
        ranks: Ranks by label, then by layer name.
        measure: Name of the rank and the view, for the axis.
        limit: Upper bound of the rank, drawn as a line.
        of: The part of the update that was measured.
        theme: "light", "dark" or "page".

    Example:
        >>> rank_by_layer({"lora": {"0.q": 4.0, "0.v": 6.0}}).alt
        'Effective rank by layer: lora 4 to 6, mean 5, over 2 layers.'
    """
    layers = list(dict.fromkeys(layer for by_layer in ranks.values() for layer in by_layer))
    grid = np.array(
        [[by_layer.get(layer, np.nan) for layer in layers] for by_layer in ranks.values()]
    )
    findings = (
        "; ".join(_span(label, by_layer) for label, by_layer in ranks.items()) or "nothing measured"
    )
    bound = f"; no update can exceed {limit:g}" if limit is not None else ""
    caption = (
        f"{labels.capital(measure)} of {of} of each adapted layer{bound}. A high rank is not a"
        " better fine-tune: it says over how many directions the change is spread."
    )
    rows = [(label, k, v) for label, by_layer in ranks.items() for k, v in by_layer.items()]
    table = Table(("method", "layer", measure), rows)
    draw = functools.partial(_draw, list(ranks), short(layers), grid, measure, limit)
    alt = f"{labels.capital(measure)} by layer: {findings}."
    return Figure("rank_by_layer", draw, caption, alt, table, theme)


def short(layers: list[str]) -> list[str]:
    """Return layer names without the dotted parts that all share.

    Example:
        >>> short(["model.layers.0.attn.q", "model.layers.1.attn.q"])
        ['0', '1']
    """
    parts = [layer.split(".") for layer in layers]
    if len(layers) < 2 or len({len(p) for p in parts}) > 1:
        return layers
    differing = [i for i, column in enumerate(zip(*parts, strict=True)) if len(set(column)) > 1]
    return [" ".join(p[i] for i in differing) for p in parts] if differing else layers


def _span(label: str, by_layer: Mapping[str, float]) -> str:
    values = list(by_layer.values())
    if not values:
        return f"{label} without layers"
    span = f"{min(values):.3g} to {max(values):.3g}, mean {np.mean(values):.3g}"
    return f"{label} {span}, over {len(values)} layer{'s' if len(values) > 1 else ''}"


def _draw(
    names: list[str],
    layers: list[str],
    grid: np.ndarray,
    measure: str,
    limit: float | None,
    page_style: PageStyle,
) -> go.Figure:
    bar_width = (page_style.width - 5 * page_style.font) / max(1, grid.size + len(layers))
    if bar_width < 0.35 * page_style.font:
        return _heat_map(names, layers, grid, measure, limit, page_style)
    figure = go.Figure()
    for number, (name, values) in enumerate(zip(names, grid, strict=True)):
        color = theme.method_style(name)["color"]
        hover = f"{name}<br>%{{x}}: %{{y:.3g}}<extra></extra>"
        wrapped = page_style.wrap(name, page_style.width - 6 * page_style.font)
        marker = striped(color, PATTERNS[number % len(PATTERNS)], page_style)
        figure.add_bar(x=layers, y=values, name=wrapped, marker=marker, hovertemplate=hover)
    if limit is not None:
        figure.add_hline(limit, line=rule(page_style, width=0.8))
        place = {"x": 1, "xref": "paper", "xanchor": "right", "y": limit, "yanchor": "bottom"}
        words = note(f"limit {limit:g}", page_style, **place)
        figure.add_annotation(words, font_size=page_style.small)
    slanted = (
        page_style.text_width(max(layers, key=len, default="")) * len(layers)
        > 0.8 * page_style.width
    )
    figure.update_xaxes(type="category", tickangle=-90 if slanted else 0, showgrid=False)
    top_of = max(np.nanmax(grid, initial=0), limit or 0)
    figure.update_yaxes(title_text=measure, range=[0, 1.12 * top_of or 1])
    figure.layout.bargap = 0.25
    return page_style.with_legend(figure, names)


def _heat_map(
    names: list[str],
    layers: list[str],
    grid: np.ndarray,
    measure: str,
    limit: float | None,
    page_style: PageStyle,
) -> go.Figure:
    """Draw one strip per method with its name above, in the empty rows between strips."""
    names = [page_style.wrap(name, page_style.width - 2 * page_style.font) for name in names]
    period = 2 + max(name.count("<br>") for name in names)
    strips = np.full((period * len(names), len(layers)), np.nan)
    strips[period - 1 :: period] = grid
    hover_names = np.repeat([[name] for name in names], period, axis=0)
    bar = page_style.colorbar("", {"nticks": 5})
    heat = go.Heatmap(
        x=layers,
        z=strips,
        colorscale="Cividis",
        colorbar=bar,
        zmin=0,
        zmax=limit or np.nanmax(grid, initial=1),
        hoverongaps=False,
        customdata=np.broadcast_to(hover_names, strips.shape),
        hovertemplate="%{customdata}<br>%{x}: %{z:.3g}<extra></extra>",
    )
    figure = go.Figure(heat)
    for number, name in enumerate(names):
        y = period * number + (period - 2) / 2
        place = {"xref": "paper", "x": 0, "xanchor": "left", "y": y, "yanchor": "middle"}
        figure.add_annotation(note(name, page_style, align="left", **place))
    title = {"text": measure, "font": {"size": page_style.font}, "x": 0.99, "xanchor": "right"}
    title |= {"yref": "container", "y": 0.985, "yanchor": "top"}
    figure.update_xaxes(type="category", showgrid=False, nticks=12, tickangle=-90)
    figure.update_yaxes(range=[len(strips) - 0.5, -0.5], **NO_TICKS)
    margin = {"l": page_style.font, "t": 2 * page_style.font, "b": 5 * page_style.font}
    height = (7 + 1.4 * len(strips)) * page_style.font
    return figure.update_layout(title=title, margin=margin, height=height)

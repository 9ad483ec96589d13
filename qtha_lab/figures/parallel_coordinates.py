"""Parallel coordinates of runs: a line through settings and result.

A run is `{"id", "label", "values"}`. Selected runs are drawn strong, the others pale. Reads no run.
"""

import functools
import itertools
import math
from collections.abc import Collection, Mapping, Sequence

import plotly.graph_objects as go

from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import NO_TICKS
from qtha_lab.figures.machinery.table import Table, value_text
from qtha_lab.figures.parallel_scales import Scale, scale
from qtha_lab.figures.run_scatter import RunPoint

PALE = 0.12
LEVELS = 5  # of colour
SPREAD = 0.05  # of the height: spread of runs with the same setting
EDGE = 0.02  # of the height: ticks this close to an end of the axis
MOST_HEIGHT = 1.2  # of the width


def _example() -> dict:
    runs = []
    for number in range(24):
        method = ("lora", "qtha")[number % 3 % 2]
        rate = (0.001, 0.003, 0.01, 0.03)[number // 2 % 4]
        r = (2, 4, 8)[number // 8]
        loss = 4.1 + 0.2 * abs(math.log10(rate / 0.01)) + 0.1 / r + 0.04 * (method == "qtha")
        values = {"method": method, "learning_rate": rate, "r": r, "eval_loss": round(loss, 4)}
        runs.append({"id": f"run {number}", "label": method, "values": values})
    return {"runs": runs, "axes": ("method", "learning_rate", "r")}


@figure_function(example=_example)
def parallel_coordinates(
    runs: Sequence[RunPoint],
    axes: Sequence[str],
    measure: str = "eval_loss",
    brushed: Collection[str] = (),
    theme: str = "light",
) -> Figure:
    """Draw one line per run through its settings to its result.

    Args:
        runs: Runs to draw; those without a result are omitted, a missing setting is a gap.
        axes: Settings, from left to right.
        measure: Name of the result, on the last axis.
        brushed: Ids of the selected runs; empty selects all.
        theme: "light", "dark" or "page".

    Example:
        >>> values = [{"r": n, "eval_loss": 5.0 - n} for n in (1, 2)]
        >>> runs = [{"id": str(v["r"]), "label": "lora", "values": v} for v in values]
        >>> parallel_coordinates(runs, ["r"]).alt
        '2 runs over r: evaluation loss is best, 3.000, for lora with r 2.'
    """
    complete = [run for run in runs if run["values"].get(measure) is not None]
    names = [*axes, measure]
    words = labels.label_of(measure).words
    over = ", ".join(labels.label_of(name).words for name in axes)
    alt = f"{len(complete)} runs over {over}"
    chosen = [run for run in complete if run["id"] in brushed] or complete
    if chosen:
        lower = measure not in MEASURES or MEASURES[measure].better == "lower"
        pick = min if lower else max
        best = pick(chosen, key=lambda run: run["values"][measure])
        settings = ", ".join(
            f"{labels.label_of(name).words} {value_text(best['values'].get(name))}" for name in axes
        )
        among = f"of {len(chosen)} brushed ones, " if len(chosen) < len(complete) else ""
        alt += (
            f": {among}{words} is best, {value_text(best['values'][measure], measure)}, for"
            f" {best['label']} with {settings}"
        )
    caption = (
        f"Each line is a run through its settings to its {words}, the redder and thicker the"
        " better; each axis has its own scale, and runs of the same setting stand a little apart."
        " Settings that were not varied together cannot be told apart here, and lines that cross"
        " between two axes say nothing of axes further away."
    )
    records = [
        {"run": run["id"], "method": run["label"]}
        | {name: run["values"].get(name) for name in names}
        for run in complete
    ]
    scales = [scale(name, [run["values"].get(name) for run in complete]) for name in names]
    draw = functools.partial(_draw, complete, scales, frozenset(brushed))
    title = f"Settings and {words}"
    return Figure(f"parallel_{measure}", draw, caption, f"{alt}.", Table.of(records), theme, title)


def _draw(
    runs: list[RunPoint], scales: list[Scale], brushed: frozenset[str], page_style: PageStyle
) -> go.Figure:
    figure = go.Figure()
    ranks = _ranks(runs, scales[-1].name)
    chosen = {run["id"] for run in runs} & brushed
    for level in range(LEVELS):
        members = [run for run in runs if int(ranks[run["id"]] * (LEVELS - 0.001)) == level]
        pale = [run for run in members if chosen and run["id"] not in chosen]
        strong = [run for run in members if not chosen or run["id"] in chosen]
        figure.add_trace(_lines(pale, scales, ranks, page_style, level).update(opacity=PALE))
        figure.add_trace(_lines(strong, scales, ranks, page_style, level))
    left, right = (_ticks_width(axis, page_style) for axis in (scales[0], scales[-1]))
    last = max(1, len(scales) - 1)
    step = (
        max(page_style.width - left - right - page_style.font, page_style.font) / last
    )  # pixels from axis to axis
    titles, tiers = _titles(scales, step, page_style)
    space = step - 0.7 * page_style.font
    upright = [axis for axis in scales[1:-1] if _widest(axis, page_style) > space]
    needed = max((_height_of_upright(axis, page_style) for axis in upright), default=0.0)
    taken = (1.35 * tiers + 2) * page_style.font  # by the axis names and margins
    height = page_style.height + (1.35 * tiers * page_style.font if tiers > 3 else 0)
    height = max(height, min(1.14 * needed + taken, MOST_HEIGHT * page_style.width))
    share = min(1.0, (height - taken) / (1.14 * needed)) if needed else 1.0
    for place, axis in enumerate(scales):
        is_last = place == len(scales) - 1
        _upright(figure, place, axis, page_style, titles[place], is_last, axis in upright, share)
    figure.update_xaxes(range=[-left / step, last + right / step], title_text="", **NO_TICKS)
    above = (1.35 * tiers + 0.8) * page_style.font / height  # width of the axis names
    figure.update_yaxes(
        range=[-0.06, (1.08 + 0.06 * above) / (1 - above)], title_text="", **NO_TICKS
    )
    margin = dict.fromkeys("lrb", 0.5 * page_style.font)
    margin["t"] = (
        2.5 if page_style.on_screen else 0.5
    ) * page_style.font  # space for the toolbar above
    if height > page_style.height:
        figure.update_layout(height=height)
    return figure.update_layout(dragmode="select", showlegend=False, margin=margin)


def _ranks(runs: Sequence[RunPoint], measure: str) -> dict[str, float]:
    """Return the rank of each run by id: 0 is worst, 1 is best."""
    lower = measure not in MEASURES or MEASURES[measure].better == "lower"
    order = sorted(runs, key=lambda run: run["values"][measure], reverse=lower)
    return {run["id"]: place / max(1, len(order) - 1) for place, run in enumerate(order)}


def _lines(
    runs: list[RunPoint],
    scales: list[Scale],
    ranks: Mapping[str, float],
    page_style: PageStyle,
    level: int,
) -> go.Scatter:
    """Draw runs of one result level as one trace, with a gap after each.

    A better level is redder and thicker.
    """
    points = [
        (
            (
                place,
                _height(run, axis, ranks[run["id"]], place == len(scales) - 1),
                run["id"],
                (
                    f"{run['label']}, {labels.label_of(axis.name).words}"
                    f" {value_text(run['values'].get(axis.name))}"
                ),
            )
            if axis
            else (None,) * 4
        )
        for run in runs
        for place, axis in enumerate((*scales, None))
    ]
    x, y, ids, words = zip(*points, strict=True) if points else ((),) * 4
    share = level / (LEVELS - 1)
    color = theme.mix(theme.VERMILLION, theme.GREY, share)
    line = {"color": color, "width": (0.5 + 0.6 * share) * page_style.line}
    return go.Scatter(
        x=x,
        y=y,
        customdata=ids,
        text=words,
        mode="lines+markers",
        line=line,
        marker={"size": 0.6 * page_style.marker, "color": color, "symbol": "circle"},
        hovertemplate="%{text}<br>%{customdata}<extra></extra>",
        showlegend=False,
    )


def _height(run: RunPoint, axis: Scale, rank: float, is_result: bool) -> float | None:
    """Return the height of a run on an axis, higher for better results."""
    height = axis.heights.get(run["values"].get(axis.name))
    if height is None or is_result:
        return height
    return height + SPREAD * (rank - 0.5)


def _ticks_width(axis: Scale, page_style: PageStyle) -> float:
    """Return the pixels that the ticks of the first or last axis take beside it."""
    return max(_widest(axis, page_style), 2 * page_style.font) + page_style.font


def _widest(axis: Scale, page_style: PageStyle) -> float:
    """Return the pixels of the widest tick label of an axis."""
    return max((page_style.text_width(t, page_style.small) for _, t in axis.ticks), default=0.0)


def _height_of_upright(axis: Scale, page_style: PageStyle) -> float:
    """Return the axis height in pixels at which no two tick labels overlap.

    The lowest label stands above its tick and the highest below, the others beside theirs.
    """
    needed = 0.0
    for (low, below), (high, above) in itertools.pairwise(sorted(axis.ticks)):
        widths = [page_style.text_width(text, page_style.small) for text in (below, above)]
        parts = 1 if low < EDGE else 0.5, 1 if high > 1 - EDGE else 0.5
        pixels = sum(width * part for width, part in zip(widths, parts, strict=True))
        needed = max(needed, (pixels + 1.5 * page_style.font) / (high - low))
    return needed


def _titles(
    scales: Sequence[Scale], step: float, page_style: PageStyle
) -> tuple[list[tuple[str, float]], float]:
    """Break the titles of axes so that none overlaps its neighbour.

    Where titles are wide, every other one is higher.

    Returns:
        Each title with its free lines below, and the total number of lines.
    """
    names = [labels.axis(axis.name) for axis in scales]
    titles = [page_style.wrap(name, 0.95 * step) for name in names]
    if all(page_style.text_width(title) <= 0.98 * step for title in titles):
        return [(title, 0) for title in titles], max(title.count("<br>") + 1 for title in titles)
    titles = [page_style.wrap(name, 1.9 * step) for name in names]
    lines = [title.count("<br>") + 1 for title in titles]
    low, high = max(lines[::2]), max(lines[1::2], default=0)
    free = [0 if place % 2 == 0 else low + 0.3 for place in range(len(titles))]
    return list(zip(titles, free, strict=True)), low + high + 0.3


def _upright(
    figure: go.Figure,
    place: int,
    axis: Scale,
    page_style: PageStyle,
    title: tuple[str, float],
    last: bool,
    upright: bool,
    share: float,
) -> None:
    """Draw an axis with its line, its title above and its ticks.

    Turned ticks are upright, and shortened to a share of their width.
    """
    line = {"color": page_style.inks.text, "width": max(1, 0.08 * page_style.font)}
    figure.add_shape(type="line", x0=place, x1=place, y0=-0.03, y1=1.03, line=line, layer="below")
    side = "left" if place == 0 else "right" if last else "center"
    text, free = title
    figure.add_annotation(
        x=place, y=1.08, text=text, yshift=1.35 * free * page_style.font,
        showarrow=False, yanchor="bottom", xanchor=side, align=side, font={"size": page_style.font},
        xshift=(-1 if place == 0 else 1 if last else 0) * 2 * page_style.font,
    )  # fmt: skip
    for height, tick in axis.ticks:
        anchor = "bottom" if height < EDGE else "top" if height > 1 - EDGE else "middle"
        if upright:
            tick = _cut(tick, share * page_style.text_width(tick, page_style.small), page_style)
        figure.add_annotation(
            x=place,
            y=height,
            text=tick,
            showarrow=False,
            font={"size": page_style.small},
            borderpad=1,
            xanchor="right" if place == 0 else "left",
            bgcolor=page_style.inks.paper,
            xshift=(-0.5 if place == 0 else 0.5) * page_style.font,
            textangle=-90 if upright else 0,
            yanchor=anchor if upright else "middle",
        )


def _cut(text: str, space: float, page_style: PageStyle) -> str:
    """Shorten a tick label to a width in pixels."""
    while len(text) > 2 and page_style.text_width(text, page_style.small) > space + 0.1:
        text = text.removesuffix("…")[:-1] + "…"
    return text

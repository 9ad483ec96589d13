"""Plot of the loss of a trained adapter under evaluation variants.

Variants are shots, noise, an ablated part or other rows. Takes the losses of
`qtha_lab.training.evaluation_variants`. Shows one adapter, no other runs or seeds.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import NO_TICKS, row_name
from qtha_lab.figures.machinery.table import Table, value_text

TRAINED, START = "as trained", "at the start"
ROW = 2.6  # in letter heights: a name with its marker below
FRAME = 4.0  # in letter heights: frame of a panel beside its rows
STYLE = {"color": theme.BLUE, "dash": "solid", "symbol": "circle"}


class VariantLoss(TypedDict):
    """Evaluation variant: name, data set, loss in nats and number of rows."""

    name: str
    on: str
    loss: float
    rows: int


def _example() -> dict:
    losses = {
        "qa, test rows": (4.112, 4.119, 4.163, 4.498, 4.131, 4.127, 4.905),
        "definitions, test rows": (4.871, 4.874, 4.902, 4.880, 4.869, 4.872, 4.860),
    }
    names = (
        TRAINED,
        "on device:default.qubit(shots=1000)",
        "on device:default.mixed(noise=wukong)",
        "without W_c",
        "without W_q",
        "without angles",
        START,
    )
    return {
        "variants": [
            {"name": name, "on": on, "loss": loss, "rows": 128}
            for on, values in losses.items()
            for name, loss in zip(names, values, strict=True)
        ]
    }


@figure_function(example=_example)
def loss_by_variant(variants: Sequence[VariantLoss], theme: str = "light") -> Figure:
    """Plot the loss of each variant, with one panel per data set.

    Reference lines stand at the loss as trained and at the loss at initialisation.

    Args:
        variants: Variants "as trained", "at the start" and any others, from the top.
        theme: "light", "dark" or "page".

    Example:
        >>> losses = {"as trained": 4.0, "without W_q": 4.5, "at the start": 5.0}
        >>> variants = [
        ...     {"name": n, "on": "qa", "loss": loss, "rows": 9} for n, loss in losses.items()
        ... ]
        >>> loss_by_variant(variants).alt
        'Loss on qa: as trained 4.000, at the start 5.000; without W_q 4.500 (+0.500).'
    """
    groups: dict[str, list[VariantLoss]] = {}
    for variant in variants:
        groups.setdefault(variant["on"], []).append(variant)
    findings = " ".join(f"Loss on {on}: {_findings(group)}." for on, group in groups.items())
    counts = ", ".join(dict.fromkeys(str(variant["rows"]) for variant in variants)) or "no"
    caption = (
        f"Loss of one trained adapter over {counts} rows, with a line from the loss as trained"
        " (upright) to the loss of a variant; dotted, the model before its training. A part that is"
        " cut off is set to zero, not trained without. Shots and noise are drawn once, so a small"
        " difference may be chance."
    )
    rows = [
        (w["on"], w["name"], w["rows"], w["loss"], _difference(w, groups[w["on"]]))
        for w in variants
    ]
    table = Table(("on", "adapter", "rows", "loss", "difference"), rows)
    draw = functools.partial(_draw, groups)
    alt = findings or "Loss of 0 evaluation variants."
    return Figure(
        "loss_by_variant", draw, caption, alt, table, theme, "Evaluation variants of an adapter"
    )


def _loss(group: Sequence[VariantLoss], name: str) -> float | None:
    return next((variant["loss"] for variant in group if variant["name"] == name), None)


def _difference(variant: VariantLoss, group: Sequence[VariantLoss]) -> float | None:
    """Return the difference to the loss as trained, on the same rows."""
    trained = _loss(group, TRAINED)
    return None if trained is None else variant["loss"] - trained


def _findings(group: Sequence[VariantLoss]) -> str:
    references = [
        f"{variant['name']} {value_text(variant['loss'], 'eval_loss')}"
        for name in (TRAINED, START)
        for variant in group
        if variant["name"] == name
    ]
    others = [
        f"{w['name']} {_number(w, group)}" for w in group if w["name"] not in (TRAINED, START)
    ]
    return "; ".join([*filter(None, [", ".join(references)]), *others])


def _number(variant: VariantLoss, group: Sequence[VariantLoss]) -> str:
    difference = _difference(variant, group)
    loss = value_text(variant["loss"], "eval_loss")
    return (
        loss if difference is None or variant["name"] == TRAINED else f"{loss} ({difference:+.3f})"
    )


def _draw(groups: dict[str, list[VariantLoss]], page_style: PageStyle) -> go.Figure:
    count = max(1, len(groups))
    depths = [ROW * len(group) for group in groups.values()]
    height = (sum(depths) + FRAME * count) * page_style.font
    gap = min(FRAME * page_style.font / height, 0.9 / max(1, count - 1))
    figure = make_subplots(count, 1, row_heights=depths or None, vertical_spacing=gap)
    for row, (on, group) in enumerate(groups.items(), start=1):
        for trace in _panel(group, page_style):
            figure.add_trace(trace, row=row, col=1)
        axis = row if row > 1 else ""
        for place, variant in enumerate(group):
            words = f"{variant['name']}  <b>{_number(variant, group)}</b>"
            name = row_name(words, ROW * place, page_style, yref=f"y{axis}")
            figure.add_annotation(name, font_size=page_style.small)
        figure.update_xaxes(title_text=f"loss (nats) on {on}", nticks=6, row=row, col=1)
        figure.update_yaxes(range=[ROW * len(group), 0], **NO_TICKS, row=row, col=1)
    margin = {
        "l": page_style.font,
        "r": page_style.font,
        "t": 0.5 * page_style.font,
        "b": 3.5 * page_style.font,
    }
    return figure.update_layout(height=height, margin=margin, showlegend=False)


def _panel(group: list[VariantLoss], page_style: PageStyle) -> list[go.Scatter]:
    """Return the reference lines over the panel, and a stem with a marker per variant."""
    traces = []
    for name, dash in ((TRAINED, "solid"), (START, "dot")):
        if (at := _loss(group, name)) is not None:
            line = {"color": page_style.inks.text, "width": 0.7 * page_style.line, "dash": dash}
            x, y = [at, at], [0, ROW * len(group)]
            traces.append(go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip"))
    trained = _loss(group, TRAINED)
    for place, variant in enumerate(group):
        y, loss = ROW * place + 1.7, variant["loss"]
        if trained is not None and variant["name"] not in (TRAINED, START):
            stem = page_style.line_of(variant["name"], STYLE, x=[trained, loss], y=[y, y])
            traces.append(stem.update(mode="lines", hoverinfo="skip"))
        hover = f"{variant['name']}<br>{_number(variant, group)} nats<extra></extra>"
        trace = page_style.line_of(variant["name"], STYLE, x=[loss], y=[y], hovertemplate=hover)
        symbol = "circle-open" if variant["name"] in (TRAINED, START) else "circle"
        traces.append(trace.update(mode="markers", marker_symbol=symbol))
    return traces

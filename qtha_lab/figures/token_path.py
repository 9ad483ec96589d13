"""Plot of one token's path through an adapter, stage by stage.

Takes numbers, such as those of `qtha_lab.analysis.updates.token_path`.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels, theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import rule
from qtha_lab.figures.machinery.parts import unchecked
from qtha_lab.figures.machinery.table import Table

OWN, CHANCE = "this token", "random inputs as long"
ANGLES = "h = A u"  # the stage that a circuit reads as angles


def _example() -> dict:
    rms = {"x": 0.9, "h = A u": 1.1, "q = ⟨Z⟩": 0.5, "z": 1.2, "Δy": 0.0}
    chance = {"x": 0.9, "h = A u": 0.8, "q = ⟨Z⟩": 0.6, "z": 1.0, "Δy": 0.0}
    return {"rms": rms, "chance_rms": chance, "stage": "h = A u", "values": [1.4, -0.3, 3.6, 0.2]}


@figure_function(example=_example)
def token_path(
    rms: Mapping[str, float],
    chance_rms: Mapping[str, float],
    stage: str,
    values: Sequence[float],
    scale: float = 1.0,
    theme: str = "light",
) -> Figure:
    """Plot the root mean square of every stage, and the values of one.

    Args:
        rms: Root mean square of this token's values by stage.
        chance_rms: The same for random inputs of equal length.
        stage: Stage whose values are drawn.
        values: Values of this stage.
        scale: Factor from h to the angles of the circuit; lines mark ± π.
        theme: "light", "dark" or "page".

    Example:
        >>> token_path({"x": 1.0, "Δy": 0.0}, {"x": 1.0, "Δy": 0.0}, "x", [1.0, -1.0]).alt
        'Root mean square of one token: x 1, Δy 0. Drawn: x, 2 values from -1 to 1.'
    """
    findings = ", ".join(f"{name} {value:.2g}" for name, value in rms.items())
    beyond = sum(abs(scale * value) > math.pi for value in values) if stage == ANGLES else 0
    turned = f", {beyond} beyond ± π" if stage == ANGLES else ""
    alt = (
        f"Root mean square of one token: {findings}. Drawn: {stage}, {len(values)} values from"
        f" {min(values):.2g} to {max(values):.2g}{turned}."
    )
    caption = (
        "Top: root mean square of the values at every stage of the adapter, and that of random"
        " inputs as long as x. Below: the values of one stage; at h, lines mark where an angle"
        " passes ± π. Shows one token of one layer only."
    )
    rows = [("rms", name, value) for name, value in rms.items()]
    rows += [("rms of random inputs", name, value) for name, value in chance_rms.items()]
    rows += [(stage, str(k), value) for k, value in enumerate(values)]
    draw = functools.partial(_draw, dict(rms), dict(chance_rms), stage, list(values), scale)
    table = Table(("quantity", "at", "value"), rows)
    return Figure("token_path", draw, caption, alt, table, theme)


def _draw(
    rms: dict[str, float],
    chance: dict[str, float],
    stage: str,
    values: list[float],
    scale: float,
    page_style: PageStyle,
) -> go.Figure:
    names = list(rms)
    blue = {"color": theme.BLUE, "dash": "solid", "symbol": "circle"}
    grey = {"color": theme.GREY, "dash": "dot", "symbol": "square-open"}
    traces = [
        _sizes(CHANCE, chance, names, grey, page_style),
        _sizes(OWN, rms, names, blue, page_style),
        {
            "type": "bar",
            "x": [str(k) for k in range(len(values))],
            "y": values,
            "xaxis": "x2",
            "yaxis": "y2",
            "marker": {"color": theme.BLUE},
            "showlegend": False,
            "hovertemplate": f"{stage}, entry %{{x}}: %{{y:.4g}}<extra></extra>",
        },
    ]
    positive = [value for of in (rms, chance) for value in of.values() if value > 0] or [1.0]
    floor = math.log10(min(positive)) - 0.3
    places = [name if rms[name] else f"{name}: 0" for name in names]  # a zero has no logarithm
    few = len(values) <= 24
    layout = {
        "height": 0.75 * page_style.width,
        "xaxis": {
            "type": "category",
            "categoryarray": names,
            "tickvals": names,
            "ticktext": places,
            "domain": [0, 1],
            "anchor": "y",
        },
        "yaxis": {
            "title": {"text": "root mean square"},
            "domain": [0.6, 1],
            "anchor": "x",
            **labels.log_axis(positive),
            "range": [floor, math.log10(max(positive)) + 0.2],
        },
        "xaxis2": {
            "title": {"text": f"entry of {stage}"},
            "domain": [0, 1],
            "anchor": "y2",
            "type": "category",
            "showticklabels": few,
            "showgrid": False,
        },
        "yaxis2": {"title": {"text": stage.split(" ")[0]}, "domain": [0, 0.38], "anchor": "x2"},
        "shapes": _limits(stage, values, scale, page_style),
    }
    return page_style.with_legend(unchecked(traces, layout), [CHANCE, OWN])


def _sizes(
    label: str,
    rms: dict[str, float],
    names: list[str],
    style: dict[str, str],
    page_style: PageStyle,
) -> dict:
    hover = f"{label}, %{{x}}: %{{y:.4g}}<extra></extra>"
    own = [rms.get(name) or None for name in names]
    return page_style.plain_line(label, style) | {"x": names, "y": own, "hovertemplate": hover}


def _limits(stage: str, values: list[float], scale: float, page_style: PageStyle) -> list[dict]:
    """Return lines at ± π where the values come near them."""
    limit = math.pi / scale
    if stage != ANGLES or max(map(abs, values)) < 0.5 * limit:
        return []
    place = {"type": "line", "xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1}
    place |= {"line": rule(page_style, "dash")}
    return [place | {"y0": side * limit, "y1": side * limit} for side in (-1, 1)]

"""Stacked bars of trained parameters by part, one bar per method.

Takes counts, such as those of `qtha_lab.analysis.parameter_budget`.
"""

import functools
from collections.abc import Mapping

import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import note, striped
from qtha_lab.figures.machinery.parts import unchecked
from qtha_lab.figures.machinery.table import Table

COLORS = (theme.GREEN, theme.SKY, theme.GREY, theme.PINK)  # parts are no methods
STRIPES = ("", "/", "", "/")
HEADROOM = 1.12  # of the highest bar


def _example() -> dict:
    qtha = {"tensor networks": 4320, "thin A and B": 1536, "r × r maps": 384, "angles": 192}
    return {
        "counts": {"qtha(r=4,waist=16)": qtha, "lora(r=2)": {"thin A and B": 7680}},
        "quantum_part": "angles",
    }


@figure_function(example=_example)
def parameter_budget(
    counts: Mapping[str, Mapping[str, int]], quantum_part: str = "", theme: str = "light"
) -> Figure:
    """Plot trained parameters as one stacked bar per method.

    Args:
        counts: Trained parameters by method, then by part from the bottom.
        quantum_part: Part that a circuit holds; its share is named.
        theme: "light", "dark" or "page".

    Example:
        >>> parameter_budget({"lora(r=1)": {"A and B": 640}, "qtha": {"angles": 4}}, "angles").alt
        'Trained parameters: lora(r=1) 640; qtha 4, of which 100 % are angles.'
    """
    whole = {label: sum(parts.values()) for label, parts in counts.items()}
    findings = "; ".join(
        f"{label} {whole[label]:,}" + _share(parts, quantum_part, whole[label])
        for label, parts in counts.items()
    )
    caption = (
        "Trained parameters of each method by part, on all adapted layers of the model. A part of"
        " less than one per cent is thinner than a line. Does not show what a part contributes to"
        " the output."
    )
    rows = [
        (label, part, count, count / whole[label])
        for label, parts in counts.items()
        for part, count in parts.items()
    ]
    table = Table(("method", "part", "parameters", "share"), rows)
    draw = functools.partial(_draw, {label: dict(of) for label, of in counts.items()})
    alt = f"Trained parameters: {findings}."
    return Figure("parameter_budget", draw, caption, alt, table, theme)


def _share(parts: Mapping[str, int], part: str, whole: int) -> str:
    if not parts.get(part):
        return ""
    percent = 100 * parts[part] / whole
    return f", of which {percent:.{0 if percent >= 10 else 2}f} % are {part}"


def _draw(counts: dict[str, dict[str, int]], page_style: PageStyle) -> go.Figure:
    parts = list(dict.fromkeys(part for of in counts.values() for part in of))
    names = [page_style.wrap(label, 0.8 * page_style.width / len(counts)) for label in counts]
    traces = []
    for number, part in reversed(list(enumerate(parts))):  # the tallest first, others before it
        tops = [_top(of, parts[: number + 1]) / 1000 for of in counts.values()]
        own = [of.get(part, 0) for of in counts.values()]
        traces.append(
            {
                "type": "bar",
                "name": part,
                "x": names,
                "y": tops,
                "customdata": own,
                "marker": _marker(number, page_style),
                "width": [0.6] * len(names),
                "hovertemplate": f"{part}: %{{customdata:,}}<extra></extra>",
            }
        )
    wholes = [sum(of.values()) for of in counts.values()]
    notes = [
        note(f"{whole:,}", page_style, x=name, y=whole / 1000, yanchor="bottom")
        for name, whole in zip(names, wholes, strict=True)
    ]
    layout = {
        "barmode": "overlay",
        "bargap": 0.4,
        "annotations": notes,
        "xaxis": {"type": "category", "categoryarray": names, "showgrid": False},
        "yaxis": {
            "title": {"text": "trained parameters (thousands)"},
            "range": [0, HEADROOM * max(wholes, default=1) / 1000],
        },
    }
    return page_style.with_legend(unchecked(traces, layout), parts[::-1])


def _top(of: Mapping[str, int], parts: list[str]) -> int:
    return sum(of.get(part, 0) for part in parts)


def _marker(number: int, page_style: PageStyle) -> dict:
    """Return colour and stripes of a part by its number."""
    color, shape = COLORS[number % len(COLORS)], STRIPES[number % len(STRIPES)]
    marker = striped(color, shape, page_style, "#ffffff") if shape else {"color": color}
    return marker | {"line": {"color": page_style.inks.text, "width": 0.5 * page_style.line}}

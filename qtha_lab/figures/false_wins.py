"""Bars of the share of studies that claim a win where no difference exists.

Takes shares, such as those of `qtha_lab.analysis.false_wins`.
"""

import functools
import math
from collections.abc import Mapping

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import note, rule
from qtha_lab.figures.machinery.parts import PlainFigure
from qtha_lab.figures.machinery.table import Table

HEADROOM = 1.25  # of the highest bar
LEAST_TOP = 10.0  # per cent, smallest upper limit of the axis


def _example() -> dict:
    return {
        "shares": {"as planned": 0.024, "+ rates": 0.081, "+ measures": 0.17, "+ stopping": 0.31},
        "studies": 2000,
    }


@figure_function(example=_example)
def false_wins(
    shares: Mapping[str, float], studies: int, level: float = 0.025, theme: str = "light"
) -> Figure:
    """Plot the share of false wins as freedoms are added, with their standard errors.

    Args:
        shares: Share of the studies that claim a win, by step.
        studies: Number of simulated studies.
        level: Share that an honest interval allows; a line marks it.
        theme: "light", "dark" or "page".

    Example:
        >>> false_wins({"as planned": 0.02, "+ rates": 0.1}, 1000).alt
        'Of 1,000 studies without a difference, 2 % claim a win as planned, 10 % + rates.'
    """
    findings = ", ".join(
        f"{_percent(share)} {_claim(k)}{name}" for k, (name, share) in enumerate(shares.items())
    )
    alt = f"Of {studies:,} studies without a difference, {findings}."
    caption = (
        "Share of simulated studies that claim a win although the methods do not differ, as the"
        " experimenter's freedoms are added from left to right. Bars are one standard error of the"
        f" simulation; the line is the {_percent(level)} that an honest interval allows. Real"
        " choices may be more or less alike than the simulated ones."
    )
    rows = [(name, share, _error(share, studies)) for name, share in shares.items()]
    draw = functools.partial(_draw, dict(shares), studies, level)
    table = Table(("freedoms", "false_wins", "standard_error"), rows)
    return Figure("false_wins", draw, caption, alt, table, theme)


def _claim(place: int) -> str:
    return "claim a win " if place == 0 else ""


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _error(share: float, studies: int) -> float:
    return math.sqrt(share * (1 - share) / studies)


def _draw(
    shares: dict[str, float], studies: int, level: float, page_style: PageStyle
) -> PlainFigure:
    names = list(shares)
    errors = [_error(share, studies) for share in shares.values()]
    bars = {
        "type": "bar",
        "x": names,
        "y": [100 * share for share in shares.values()],
        "marker": {"color": theme.SKY},
        "error_y": {
            "type": "data",
            "array": [100 * error for error in errors],
            "thickness": page_style.line,
            "width": 0,
        },
        "hovertemplate": "%{x}: %{y:.1f} %<extra></extra>",
    }
    notes = [
        note(_percent(share), page_style, x=name, y=100 * (share + error), yanchor="bottom")
        for (name, share), error in zip(shares.items(), errors, strict=True)
    ]
    line = rule(page_style, "dash", 1)
    honest = {"type": "line", "xref": "x domain", "yref": "y", "x0": 0, "x1": 1, "line": line}
    top = max(LEAST_TOP, HEADROOM * 100 * max(shares.values(), default=0))
    layout = {
        "showlegend": False,
        "annotations": notes,
        "shapes": [honest | {"y0": 100 * level, "y1": 100 * level}],
        "xaxis": {"type": "category", "categoryarray": names, "showgrid": False},
        "yaxis": {
            "title": {"text": "studies that claim a win (%)"},
            "range": [0, top],
        },
    }
    return PlainFigure([bars], layout)

"""Plot of the time per sample of simulators against the batch size.

Takes measured times, which hold for one machine at one moment.
"""

import functools
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels
from qtha_lab.figures.machinery.table import Table

Points = Sequence[tuple[int, float]]
AUTO = " (auto)"


def _example() -> dict:
    batches = (1, 8, 64, 256)
    microseconds = {
        "cpu": (61.0, 9.4, 3.1, 2.4),
        "torch": (1450.0, 190.0, 31.0, 13.0),
        "lightning": (910.0, 160.0, 42.0, 36.0),
    }
    lines = {name: list(zip(batches, us, strict=True)) for name, us in microseconds.items()}
    return {"lines": lines, "auto": "cpu", "of": "qtha, 6 qubits, 2 layers"}


@figure_function(example=_example)
def engine_speeds(
    lines: Mapping[str, Points], auto: str = "", of: str = "a circuit", theme: str = "light"
) -> Figure:
    """Plot microseconds per sample against batch size, one line per engine; lower is faster.

    Args:
        lines: By engine, (samples, microseconds per sample) of values and both gradients.
        auto: Engine that "auto" selects; empty marks none.
        of: Name of the circuit, for the texts.
        theme: "light", "dark" or "page".

    Example:
        >>> engine_speeds({"cpu": [(1, 60.0), (64, 3.0)], "torch": [(64, 30.0)]}, "cpu").alt
        'Microseconds per sample of a circuit: cpu (auto) 3 at 64 samples; torch 30 at 64 samples.'
    """
    rising = {name: sorted(points) for name, points in lines.items() if points}
    names = {name: name + AUTO * (name == auto) for name in rising}
    findings = (
        "; ".join(f"{names[name]} {_end(points)}" for name, points in rising.items())
        or "no engine measured"
    )
    alt = f"Microseconds per sample of {of}: {findings}."
    caption = (
        f"Time per sample of values and both gradients of {of}, float32, by engine, against the"
        " samples that go through together. Of one machine at one moment: another, or more"
        " threads, may order them otherwise."
    )
    rows = [(name, n, us) for name, points in rising.items() for n, us in points]
    table = Table(("engine", "batch", "microseconds_per_sample"), rows)
    draw = functools.partial(_draw, table.frame, names)
    return Figure("engine_speeds", draw, caption, alt, table, theme)


def _end(points: Points) -> str:
    samples, microseconds = points[-1]
    return f"{number(microseconds)} at {samples:,} sample{'' if samples == 1 else 's'}"


def number(microseconds: float) -> str:
    """Format microseconds with three digits, or as a whole number.

    Example:
        >>> number(3.14159), number(145_678.9)
        ('3.14', '145,679')
    """
    return f"{microseconds:,.0f}" if microseconds >= 100 else f"{microseconds:.3g}"


def _draw(frame: pd.DataFrame, names: Mapping[str, str], page_style: PageStyle) -> go.Figure:
    styles = {names[name]: style for name, style in theme.distinct_styles(names).items()}
    frame = frame.assign(engine=frame["engine"].map(names))
    figure = panels(
        frame, "batch", "microseconds_per_sample", "engine", page_style,
        hover="%{x:,} samples: %{y:.3g} µs per sample", log="xy", styles=styles,
    )  # fmt: skip
    chosen = {"name": next((name for name in styles if name.endswith(AUTO)), "")}
    return figure.update_traces(line_width=1.8 * page_style.line, selector=chosen)

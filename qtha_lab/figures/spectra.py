"""Plot of singular values by index.

Takes computed values, and counts those above a threshold.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels, rule
from qtha_lab.figures.machinery.table import Table

THRESHOLD = 0.01  # of the largest; smaller values are not counted
FLOOR = 1e-8  # of the largest; smaller values are float32 rounding noise


class SpectrumRun(Protocol):
    """Run with recorded events, such as `qtha_lab.launch` returns."""

    def valid_events(self) -> list[dict]:
        """Return the recorded events."""
        ...


def _example() -> dict:
    index = np.arange(1, 33)
    return {
        "spectra": {
            "lora": np.where(index <= 8, 2.0 * 0.7**index, 0),
            "qtha": np.where(index <= 4, 1.2 * 0.5**index, 0),
            "full fine-tuning": 1.5 / index**1.2,
        },
        "of": "ΔW of q_proj, layer 3",
    }


@figure_function(example=_example)
def spectra(spectra: Mapping[str, Sequence[float]], of: str = "ΔW", theme: str = "light") -> Figure:
    """Plot each label's singular values, largest first, on a logarithmic axis.

    Args:
        spectra: Singular values by label, in any order.
        of: Name of the decomposed matrix, for the texts.
        theme: "light", "dark" or "page".

    Example:
        >>> spectra({"lora": [2.0, 1.0, 0.0]}).alt
        'Singular values of ΔW: lora has 2 of 3 above 1 % of its largest.'
    """
    spectra = spectra if isinstance(spectra, Mapping) else _last_spectra(spectra)
    sorted_ = {k: np.sort(np.asarray(v, dtype=float))[::-1] for k, v in spectra.items()}
    counts = "; ".join(f"{k} has {above(v)} of {len(v)}" for k, v in sorted_.items())
    alt = f"Singular values of {of}: {counts or 'none'} above 1 % of its largest."
    caption = (
        f"Singular values of {of}, largest first; the dotted line is 1 % of the largest of all."
        " Values under 10⁻⁸ of it are left out. How many are large says how many directions a"
        " change has, not whether they help. A part of a change that depends on the token, such as"
        " a circuit, is in no matrix."
    )
    rows = [(k, i, s) for k, v in sorted_.items() for i, s in enumerate(v, start=1)]
    table = Table(("method", "index", "singular_value"), rows)
    draw = functools.partial(_draw, table.frame)
    return Figure("singular_values", draw, caption, alt, table, theme)


def _last_spectra(run: SpectrumRun) -> dict[str, Sequence[float]]:
    """Return the singular values of each layer in the last record of a run."""
    records = [event["layers"] for event in run.valid_events() if event["kind"] == "spectrum"]
    return {
        layer: record["singular_values"] if isinstance(record, Mapping) else record
        for layer, record in (records[-1] if records else {}).items()
    }


def above(values: np.ndarray, threshold: float = THRESHOLD) -> int:
    """Count the values that exceed this fraction of the largest.

    Example:
        >>> above(np.array([1.0, 0.5, 0.001]))
        2
    """
    return int((values > threshold * values.max(initial=0)).sum())


def _draw(frame: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    values = frame["singular_value"]
    largest = (values.max() if len(values) else 0) or 1.0
    values = values.where(values > FLOOR * largest)
    drawn = values.notna() | ~frame["method"].duplicated()  # each method keeps its name
    figure = panels(
        frame.assign(singular_value=values)[drawn], "index", "singular_value", "method", page_style,
        hover="σ%{x} = %{y:.3g}", xaxis={"rangemode": "tozero"},
        yaxis=labels.log_axis([THRESHOLD * largest, largest, *values]),
    )  # fmt: skip
    return figure.add_hline(THRESHOLD * largest, line=rule(page_style))

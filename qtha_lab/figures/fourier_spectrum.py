"""Plot of the Fourier spectrum of a circuit's read-out as a function of an input.

Takes magnitudes from `qtha_lab.analysis.circuits.fourier`.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import striped
from qtha_lab.figures.machinery.table import Table

PRESENT = 1e-6  # a smaller coefficient is rounding noise
PATTERNS = ("", "/", "x", "\\", ".")


def _example() -> dict:
    return {
        "spectra": {
            "data once": ([0, 1], [0.12, 0.18]),
            "data in 3 layers": ([0, 1, 2, 3], [0.11, 0.15, 0.07, 0.09]),
        }
    }


@figure_function(example=_example)
def fourier_spectrum(
    spectra: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    of: str = "⟨Z0⟩ in x0",
    theme: str = "light",
) -> Figure:
    """Plot the mean magnitude of every Fourier coefficient as bars, grouped by label.

    Args:
        spectra: Frequencies and mean magnitudes by label.
        of: Name of the read-out and of its input.
        theme: "light", "dark" or "page".

    Example:
        >>> fourier_spectrum({"once": ([0, 1], [0.1, 0.2])}).alt
        'Fourier spectrum of ⟨Z0⟩ in x0: once reaches frequency 1, largest at 1 (0.2).'

    Source:
        Schuld, Sweke and Meyer 2021, arXiv:2008.08605.
    """
    arrays = {k: (np.asarray(f, float), np.asarray(m, float)) for k, (f, m) in spectra.items()}
    findings = (
        "; ".join(f"{label} {_reach(*pair)}" for label, pair in arrays.items()) or "none measured"
    )
    caption = (
        f"Mean size of the Fourier coefficients of {of} over random trainable angles. The gates"
        " that read the datum fix which frequencies can occur; how large they are is for the"
        " trained angles to say, which cannot set each on its own."
    )
    rows = [(label, f, m) for label, pair in arrays.items() for f, m in zip(*pair, strict=True)]
    table = Table(("label", "frequency", "mean size"), rows)
    draw = functools.partial(_draw, arrays)
    alt = f"Fourier spectrum of {of}: {findings}."
    return Figure("fourier_spectrum", draw, caption, alt, table, theme)


def _reach(frequencies: np.ndarray, sizes: np.ndarray) -> str:
    if not (sizes > PRESENT).any():
        return "is zero"
    most = int(sizes.argmax())
    top = frequencies[sizes > PRESENT].max()
    return f"reaches frequency {top:g}, largest at {frequencies[most]:g} ({sizes[most]:.2g})"


def _draw(spectra: dict, page_style: PageStyle) -> go.Figure:
    figure = go.Figure()
    for number, (label, (frequencies, sizes)) in enumerate(spectra.items()):
        color = (theme.GREY, theme.BLUE, theme.GREEN, theme.PINK)[number % 4]
        marker = striped(color, PATTERNS[number % len(PATTERNS)], page_style)
        hover = f"{label}<br>frequency %{{x}}: %{{y:.3g}}<extra></extra>"
        name = page_style.wrap(label, page_style.width - 6 * page_style.font)
        figure.add_bar(x=frequencies, y=sizes, name=name, marker=marker, hovertemplate=hover)
    frequencies_present = sorted({f for frequencies, _ in spectra.values() for f in frequencies})
    tick_options: dict[str, Any] = (
        {"tickvals": frequencies_present} if len(frequencies_present) <= 16 else {}
    )
    figure.update_xaxes(title_text="frequency (radians per radian)", showgrid=False, **tick_options)
    figure.update_yaxes(title_text="mean size of the coefficient")
    return page_style.with_legend(figure, list(spectra))

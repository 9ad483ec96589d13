"""Plot of the entanglement entropy of an adapter's tensor networks over training.

Draws one line per bond from recorded entropies. The entropy measures the correlation across a bond,
not its benefit.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from qtha_lab.core.errors import Refusal
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.panels import panels
from qtha_lab.figures.machinery.table import Table

COLORS = (theme.GREEN, theme.PINK, theme.SKY, theme.GREY)  # none is the colour of QTHA or LoRA


def _example() -> dict:
    steps = list(range(0, 101, 10))
    rise = 1 - np.exp(-np.array(steps) / 40)
    down = [[round(1.2 + 0.2 * r, 3), round(1.5 - 0.1 * r, 3), 0.9] for r in rise]
    up = [[round(0.9 * r, 3), round(1.1 * r, 3), round(0.6 * r, 3)] for r in rise]
    return {"steps": steps, "entropies": {"M_A": down, "M_B": up}, "of": "q_proj, layer 3"}


@figure_function(example=_example)
def bond_history(
    steps: Sequence[int],
    entropies: Mapping[str, Sequence[Sequence[float]]],
    of: str = "an adapter",
    theme: str = "light",
) -> Figure:
    """Plot the entropy of every bond in bits, with one colour per tensor network.

    Args:
        steps: Training steps of the records.
        entropies: Entropies in bits by tensor network, each (steps, bonds).
        of: Name of the adapter, for the texts.
        theme: "light", "dark" or "page".

    Raises:
        ValueError: If a network was not recorded at every step.

    Example:
        >>> bond_history([0, 9], {"up": [[0.0], [0.5]]}).alt
        'Entropy of the bonds of an adapter from step 0 to 9: up goes from 0 to
        0.5 bits on average.'
    """
    grids = {name: np.asarray(rows, dtype=float) for name, rows in entropies.items()}
    for name, grid in grids.items():
        if grid.ndim != 2 or len(grid) != len(steps):
            raise Refusal(
                f"{name} must be (steps, bonds), got {grid.shape} for {len(steps)} steps."
            )
    changes = (
        f"{name} goes from {g[0].mean():.3g} to {g[-1].mean():.3g} bits"
        for name, g in grids.items()
    )
    findings = "; ".join(changes) or "none recorded"
    reach = f" from step {steps[0]} to {steps[-1]}" if len(steps) else ""
    caption = (
        f"Entanglement entropy of each bond of the tensor networks of {of}. A bond of dimension R"
        " can carry log₂ R bits. This number does not determine the loss."
    )
    rows = [
        (step, name, bond, value)
        for name, grid in grids.items()
        for step, values in zip(steps, grid, strict=True)
        for bond, value in enumerate(values, start=1)
    ]
    table = Table(("step", "network", "bond", "entropy_bits"), rows)
    alt = f"Entropy of the bonds of {of}{reach}: {findings} on average."
    draw = functools.partial(_draw, table.frame)
    return Figure("bond_history", draw, caption, alt, table, theme, "Bonds over training")


def _draw(frame: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    networks = list(dict.fromkeys(frame["network"]))
    frame = frame.assign(line=frame["network"] + " " + frame["bond"].astype(str))
    pairs = frame.drop_duplicates("line")[["line", "network", "bond"]].itertuples(index=False)
    styles = {
        line: {
            "color": COLORS[networks.index(network) % len(COLORS)],
            "dash": theme.DASHES[(bond - 1) % len(theme.DASHES)],
            "symbol": theme.SYMBOLS[(bond - 1) % len(theme.SYMBOLS)],
        }
        for line, network, bond in pairs
    }
    return panels(
        frame, "step", "entropy_bits", "line", page_style, hover="step %{x}: %{y:.3f} bits",
        styles=styles, yaxis={"rangemode": "tozero"},
    )  # fmt: skip

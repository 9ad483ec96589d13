"""Plot of the circuit measurements of `circuit_inputs` over all steps of training.

Draws one line per block from the records at the evaluations of runs.
"""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.circuit_inputs import FACTS, Blocks, facts_of, panel_places, panels
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.table import Table, value_text

PALEST = 0.3  # opacity of the first block's line; the last block's is opaque
FEW = 12  # up to this many records, each has a marker
History = Mapping[int, Blocks]


def _example() -> dict:
    def course(angle: float, power: float) -> History:
        return {
            step: {
                block: {
                    "angle_std": angle + 0.2 * block + 0.004 * step,
                    "beyond_pi": angle * (0.02 * block + 0.0005 * step),
                    "constant_part": angle * (0.4 / (1 + 0.02 * step) + 0.03 * block) / 2,
                    "affine_part": 1 - angle / 20 - 0.03 * block - 0.001 * step,
                    "branch_power": power * math.exp(step / 60) / (1 + block),
                }
                for block in range(6)
            }
            for step in range(0, 101, 20)
        }

    return {
        "histories": {"qtha": course(0.9, 0.4), "qtha(stand_in=silu)": course(1.6, 0.05)},
        "without": ["lora"],
    }


@figure_function(example=_example)
def circuit_history(
    histories: Mapping[str, History], without: Sequence[str] = (), theme: str = "light"
) -> Figure:
    """Plot five measurements of each block's circuit over the training steps.

    Args:
        histories: By label, the records of a run from `circuit_inputs.over_steps`.
        without: Labels of runs without records, since their method has no circuit.
        theme: "light", "dark" or "page".

    Example:
        >>> record = {0: {"branch_power": 0.5}}
        >>> history = {"qtha": {0: record, 9: {0: {"branch_power": 2.0}}}}
        >>> circuit_history(history, without=["lora"]).alt
        'Power of the circuit over the linear branch, median over blocks: qtha 0.5 at step 0, 2 at
        step 9. No circuit: lora.'
    """
    findings = [f"{shown(label)} {_power_text(history)}" for label, history in histories.items()]
    none = f" No circuit: {', '.join(map(shown, without))}." if without else ""
    alt = (
        "Power of the circuit over the linear branch, median over blocks: "
        f"{'; '.join(findings) or 'not recorded'}.{none}"
    )
    caption = (
        "By block, the first palest, at the evaluations of a run: standard deviation of the"
        " circuit's input angles, share of them beyond ± π, share of the power of ⟨Z⟩ that is"
        " constant, share that an affine map of what the bottleneck is fed would give too, power"
        " of the circuit's branch over that of the linear one. A small power says that a circuit"
        f" contributes little of the output, not that it would not help.{none}"
    )
    rows = [
        (label, step, block, *(facts.get(fact) for fact in FACTS))
        for label, history in histories.items()
        for step, blocks in history.items()
        for block, facts in sorted(blocks.items())
    ]
    return Figure(
        "circuit_history",
        functools.partial(_draw, histories),
        caption,
        alt,
        Table(("method", "step", "block", *FACTS), rows),
        theme,
        "What circuits are fed, over training",
    )


def _power_text(history: History) -> str:
    """Describe the median power over blocks at the first and the last record."""
    medians = {}
    for step, blocks in history.items():
        powers = [p for facts in blocks.values() if (p := facts.get("branch_power")) is not None]
        if powers:
            medians[step] = f"{value_text(statistics.median(powers))} at step {step}"
    if not medians:
        return f"without a linear branch, to step {max(history, default=0)}"
    return ", ".join(dict.fromkeys([medians[min(medians)], medians[max(medians)]]))


def _draw(histories: Mapping[str, History], page_style: PageStyle) -> go.Figure:
    recorded = facts_of(blocks for history in histories.values() for blocks in history.values())
    figure = panels(recorded, "step", page_style)
    styles = theme.distinct_styles(histories)
    for fact, (row, col) in panel_places(recorded).items():
        for label, history in histories.items():
            blocks = sorted({block for record in history.values() for block in record})
            for block in blocks:
                line = _line(label, styles[label], history, block, fact, page_style)
                share = (block - blocks[0]) / max(1, blocks[-1] - blocks[0])
                color = theme.faint(styles[label]["color"], round(PALEST + (1 - PALEST) * share, 3))
                line.update(line_color=color, marker_color=color, legendgroup=label)
                line.showlegend = (row, col) == (1, 1) and block == blocks[-1]
                figure.add_trace(line, row=row, col=col)
    return page_style.with_legend(figure, list(histories))


def _line(
    label: str,
    style: dict[str, str],
    history: History,
    block: int,
    fact: str,
    page_style: PageStyle,
) -> go.Scatter:
    points = [(step, blocks.get(block, {}).get(fact)) for step, blocks in history.items()]
    x = [step for step, value in points if value is not None]
    y = [value for _, value in points if value is not None]
    hover = f"{shown(label)}, block {block}<br>step %{{x}}: %{{y:.3g}}<extra></extra>"
    line = page_style.line_of(label, style, x=x, y=y, hovertemplate=hover)
    return line.update(mode="lines+markers" if len(x) <= FEW else "lines")

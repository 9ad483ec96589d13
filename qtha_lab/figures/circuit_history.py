"""Plot of the circuit measurements of `circuit_inputs` over all steps of training.

Draws one line per block from the records at the evaluations of runs.
"""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.circuit_inputs import FACTS, Blocks, fact_panels
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import traces_of
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
    table = Table(("method", "step", "block", *FACTS), rows)
    return Figure(
        "circuit_history",
        functools.partial(_draw, table.frame),
        caption,
        alt,
        table,
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


def _draw(frame: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    figure = fact_panels(frame, "step", "block", page_style)
    styles, blocks = theme.distinct_styles(frame["method"]), frame.groupby("method")["block"]
    lowest, span = blocks.min(), (blocks.max() - blocks.min()).clip(lower=1)
    for trace in traces_of(figure):
        label = trace.legendgroup
        share = (trace.meta - lowest[label]) / span[label]
        color = theme.faint(styles[label]["color"], round(PALEST + (1 - PALEST) * share, 3))
        mode = "lines+markers" if len(trace.x) <= FEW else "lines"
        trace.update(line_color=color, marker_color=color, mode=mode)
    return page_style.with_legend(figure, list(styles))

"""Plot of circuit limits by block: input angles, constant part and output power.

Draws the measurements of `analysis.updates.activations` at initialisation and at the end of runs.
`circuit_history` draws all steps.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qtha_lab.core.method_styles import shown
from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import traces_of
from qtha_lab.figures.machinery.table import Table, value_text

FACTS = {
    "angle_std": "angles:<br>std (rad)",
    "beyond_pi": "share<br>beyond π",
    "constant_part": "constant<br>part of ⟨Z⟩",
    "affine_part": "affine<br>part of ⟨Z⟩",
    "branch_power": "power,<br>circuit / linear",
}
Blocks = Mapping[int, Mapping[str, float | None]]
TIMES = {"before training": "dot", "after training": "solid"}


def _example() -> dict:
    def blocks_of(angle: float, power: float) -> Blocks:
        return {
            block: {
                "angle_std": angle + 0.2 * block,
                "beyond_pi": 0.03 * block,
                "constant_part": 0.1 + 0.05 * block,
                "affine_part": 0.9 - 0.05 * block,
                "branch_power": power / (1 + block),
            }
            for block in range(6)
        }

    return {
        "facts": {
            "qtha": {"start": blocks_of(0.9, 0.4), "end": blocks_of(1.2, 0.7)},
            "qtha(init=paper)": {"start": blocks_of(3.5, 0.002), "end": blocks_of(3.4, 0.003)},
        }
    }


def by_block(history: Mapping[int, Blocks]) -> dict[str, Blocks]:
    """Return the first and the last record of `over_steps`."""
    records = list(history.values())
    times = {"start": records[:1], "end": records[1:][-1:]}
    return {name: blocks for name, of_name in times.items() for blocks in of_name}


def over_steps(
    events: Iterable[Mapping[str, Any]],
) -> dict[int, dict[int, dict[str, float | None]]]:
    """Return the measurements of each record of a run, averaged over a block's layers."""
    records = (event for event in events if event.get("kind") == "bottleneck")
    return {e["step"]: _blocks(e["layers"]) for e in sorted(records, key=lambda e: e["step"])}


def _blocks(layers: Mapping[str, Mapping[str, Any]]) -> dict[int, dict[str, float | None]]:
    groups: dict[int, list[Mapping[str, Any]]] = {}
    for facts in layers.values():
        groups.setdefault(facts.get("block") or 0, []).append(facts)
    return {block: {fact: _mean(group, fact) for fact in FACTS} for block, group in groups.items()}


def _mean(group: list[Mapping[str, Any]], fact: str) -> float | None:
    values = [facts[fact] for facts in group if facts.get(fact) is not None]
    return sum(values) / len(values) if values else None


@figure_function(example=_example)
def circuit_inputs(facts: Mapping[str, Mapping[str, Blocks]], theme: str = "light") -> Figure:
    """Plot five measurements by block, at initialisation (dotted) and at the end (solid).

    Args:
        facts: By label, the measurements of a run from `by_block`.
        theme: "light", "dark" or "page".

    Example:
        >>> circuit_inputs({"qtha": {"start": {0: {"branch_power": 0.5}}}}).alt
        'Power of the circuit over the linear branch at the end: not recorded.'
    """
    ends = {label: _span(times["end"]) for label, times in facts.items() if "end" in times}
    findings = "; ".join(f"{label} {span}" for label, span in ends.items()) or "not recorded"
    rows = [
        (label, when, block, *(numbers.get(fact) for fact in FACTS))
        for label, times in facts.items()
        for when, blocks in times.items()
        for block, numbers in sorted(blocks.items())
    ]
    caption = (
        "By block, over some training tokens, dotted at the start and solid at the end: standard"
        " deviation of the circuit's input angles, share of them beyond ± π, share of the power of"
        " ⟨Z⟩ that is constant, share that an affine map of what the bottleneck is fed would give"
        " too, power of the circuit's branch over that of the linear one. A small power says that a"
        " circuit contributes little of the output, not that it would not help."
    )
    table = Table(("method", "when", "block", *FACTS), rows)
    return Figure(
        "circuit_inputs",
        functools.partial(_draw, table.frame),
        caption,
        f"Power of the circuit over the linear branch at the end: {findings}.",
        table,
        theme,
        "What circuits are fed, and what arrives",
    )


def _span(blocks: Blocks) -> str:
    values = [
        power for facts in blocks.values() if (power := facts.get("branch_power")) is not None
    ]
    if not values:
        return "without a linear branch"
    return f"{value_text(min(values))} to {value_text(max(values))}"


def _draw(frame: pd.DataFrame, page_style: PageStyle) -> go.Figure:
    figure = fact_panels(frame, "block", "when", page_style)
    for trace in traces_of(figure):
        trace.update(mode="lines+markers", line_dash="dot" if trace.meta == "start" else "solid")
    names = list(dict.fromkeys(frame["method"]))
    if frame.groupby("method")["when"].nunique().max() > 1:
        names += TIMES
        for name, dash in TIMES.items():
            line = {"color": page_style.inks.text, "width": page_style.line, "dash": dash}
            figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)
    return page_style.with_legend(figure, names)


def fact_panels(frame: pd.DataFrame, x: str, part: str, page_style: PageStyle) -> go.Figure:
    """Draw each measurement in a panel, with one line per method and part."""
    facts = [fact for fact in FACTS if frame[fact].notna().any()] or list(FACTS)
    figure = _empty_panels(facts, x, page_style)
    styles, last = theme.distinct_styles(frame["method"]), frame.groupby("method")[part].last()
    for number, fact in enumerate(facts):
        for (label, name), rows in frame.groupby(["method", part], sort=False):
            rows = rows.dropna(subset=[fact]).sort_values(x)
            of = f"block {name}" if part == "block" else name
            line = page_style.line_of(
                label, styles[label], x=rows[x], y=rows[fact], legendgroup=label, meta=name,
                showlegend=bool(number == 0 and name == last[label]),
                hovertemplate=f"{shown(label)}, {of}<br>{x} %{{x}}: %{{y:.3g}}<extra></extra>",
            )  # fmt: skip
            figure.add_trace(line, row=number // 2 + 1, col=number % 2 + 1)
    return figure


def _empty_panels(facts: Sequence[str], along: str, page_style: PageStyle) -> go.Figure:
    """Return panels in two columns, with power on a logarithmic axis."""
    rows = -(-len(facts) // 2)
    # the titles of the right column: two lines and ticks
    titles = 7 * page_style.font / (page_style.width - 5 * page_style.font)
    across = min(0.4, max(0.12, titles))
    figure = make_subplots(rows, 2, horizontal_spacing=across, vertical_spacing=0.34 / rows)
    for number, fact in enumerate(facts):
        place: dict[str, Any] = {"row": number // 2 + 1, "col": number % 2 + 1}
        lowest = number + 2 >= len(facts)
        figure.update_xaxes(title_text=along if lowest else "", showticklabels=lowest, **place)
        figure.update_yaxes(title_text=FACTS[fact], rangemode="tozero", **place)
        if fact == "branch_power":
            figure.update_yaxes(type="log", rangemode="normal", nticks=4, **place)
    if len(facts) % 2:
        figure.update_xaxes(visible=False, row=rows, col=2)
        figure.update_yaxes(visible=False, row=rows, col=2)
    return figure.update_layout(height=13 * rows * page_style.font)

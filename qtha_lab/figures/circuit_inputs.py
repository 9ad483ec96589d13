"""Plot of circuit limits by block: input angles, constant part and output power.

Draws the measurements of `analysis.updates.activations` at initialisation and at the end of runs.
`circuit_history` draws all steps.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from qtha_lab.figures.machinery import theme
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
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


def by_block(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[int, dict[str, float | None]]]:
    """Return the measurements of a run's first and last record, averaged per block.

    Args:
        events: Events of the run; only those of kind "bottleneck" are used.

    Returns:
        Measurements by block under "start" and "end", as far as they were recorded.
    """
    records = list(over_steps(events).values())
    times = {"start": records[:1], "end": records[1:][-1:]}
    return {name: blocks for name, of_name in times.items() for blocks in of_name}


def over_steps(
    events: Iterable[Mapping[str, Any]],
) -> dict[int, dict[int, dict[str, float | None]]]:
    """Return the measurements of each record of a run, averaged over a block's layers.

    Args:
        events: Events of the run; only those of kind "bottleneck" are used.

    Returns:
        Measurements by step, then by block.
    """
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
    return Figure(
        "circuit_inputs",
        functools.partial(_draw, facts),
        caption,
        f"Power of the circuit over the linear branch at the end: {findings}.",
        Table(("method", "when", "block", *FACTS), rows),
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


def _draw(facts: Mapping[str, Mapping[str, Blocks]], page_style: PageStyle) -> go.Figure:
    recorded = facts_of(blocks for times in facts.values() for blocks in times.values())
    figure = panels(recorded, "block", page_style)
    styles = theme.distinct_styles(facts)
    for fact, (row, col) in panel_places(recorded).items():
        for label, times in facts.items():
            for when, blocks in times.items():
                x = sorted(block for block in blocks if blocks[block].get(fact) is not None)
                y = [blocks[block][fact] for block in x]
                hover = f"{label}, {when}<br>block %{{x}}: %{{y:.3g}}<extra></extra>"
                line = page_style.line_of(label, styles[label], x=x, y=y, hovertemplate=hover)
                named = (row, col) == (1, 1) and when == list(times)[-1]
                line.update(showlegend=named, legendgroup=label)
                line.update(mode="lines+markers", line_dash="dot" if when == "start" else "solid")
                figure.add_trace(line, row=row, col=col)
    names = list(facts)
    if any(len(times) > 1 for times in facts.values()):
        for name, dash in TIMES.items():
            line = {"color": page_style.inks.text, "width": page_style.line, "dash": dash}
            figure.add_scatter(x=[None], y=[None], mode="lines", name=name, line=line)
            names.append(name)
    return page_style.with_legend(figure, names)


def facts_of(records: Iterable[Blocks]) -> list[str]:
    """Return the members of `FACTS` with a value in the records, or all."""
    blocks = [facts for record in records for facts in record.values()]
    known = [fact for fact in FACTS if any(facts.get(fact) is not None for facts in blocks)]
    return known or list(FACTS)


def panel_places(facts: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the row and column of each measurement's panel, in two columns."""
    return {fact: (number // 2 + 1, number % 2 + 1) for number, fact in enumerate(facts)}


def panels(facts: Sequence[str], along: str, page_style: PageStyle) -> go.Figure:
    """Return empty panels, with power on a logarithmic axis.

    Args:
        facts: Members of `FACTS` to draw.
        along: Title of the x axis.
        page_style: Theme and size of the page.
    """
    rows = -(-len(facts) // 2)
    titles = (
        7 * page_style.font / (page_style.width - 5 * page_style.font)
    )  # of the right column: two lines and ticks
    across = min(0.4, max(0.12, titles))
    figure = make_subplots(rows, 2, horizontal_spacing=across, vertical_spacing=0.34 / rows)
    for number, (fact, (row, col)) in enumerate(panel_places(facts).items()):
        lowest = number + 2 >= len(facts)
        figure.update_xaxes(
            title_text=along if lowest else "", showticklabels=lowest, row=row, col=col
        )
        figure.update_yaxes(title_text=FACTS[fact], rangemode="tozero", row=row, col=col)
        if fact == "branch_power":
            figure.update_yaxes(type="log", rangemode="normal", nticks=4, row=row, col=col)
    if len(facts) % 2:
        figure.update_xaxes(visible=False, row=rows, col=2)
        figure.update_yaxes(visible=False, row=rows, col=2)
    return figure.update_layout(height=13 * rows * page_style.font)

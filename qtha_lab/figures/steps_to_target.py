"""Plot of steps to a target against the size of unseen problems.

Draws one line per initialisation and one dot per seed. Takes numbers, such as those of
`qtha_lab.reproductions.flip.steps_by_size`. Runs no training.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import draw_by_size, ends_by_size
from qtha_lab.figures.machinery.table import Table


class TargetSteps(TypedDict):
    """Median steps that graphs of a size need from one initialisation, with one seed."""

    label: str
    n_nodes: int
    seed: int
    steps_to_target: float


def _example() -> dict:
    means = {
        ("uniform", 8): 42,
        ("uniform", 10): 49,
        ("table", 8): 19,
        ("table", 10): 22,
        ("network", 8): 20,
        ("network", 10): 22,
    }
    return {
        "starts": [
            {"label": label, "n_nodes": n, "seed": seed, "steps_to_target": mean + lift}
            for (label, n), mean in means.items()
            for seed, lift in enumerate((-3, 0, 3))
        ]
    }


@figure_function(example=_example)
def steps_to_target(starts: Sequence[TargetSteps], theme: str = "light") -> Figure:
    """Plot the steps to the target against the nodes of a graph.

    Args:
        starts: One entry per initialisation, size and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> start = {"label": "table", "n_nodes": 8, "seed": 0, "steps_to_target": 20.0}
        >>> steps_to_target([start]).alt
        'Steps to the target at the most nodes, mean over seeds: table 20 at 8.'
    """
    table = Table.of(
        [dict(each) for each in starts], ("label", "n_nodes", "seed", "steps_to_target")
    )
    ends = ends_by_size(table.frame, "n_nodes", "steps_to_target")
    alt = f"Steps to the target at the most nodes, mean over seeds: {ends}."
    caption = (
        "Steps until a graph is cut to the target, the median over graphs that nothing was learnt"
        " on: means over seeds as lines, a dot for every seed. A start whose line stays low was"
        " learnt on smaller graphs and carries over. Does not show what the learning took."
    )
    drawn = functools.partial(draw_by_size, table.frame, "n_nodes", "steps_to_target")
    title = "Steps to the target at unseen sizes"
    return Figure("steps_to_target", drawn, caption, alt, table, theme, title)

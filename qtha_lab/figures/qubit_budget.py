"""Plot of accuracy against qubits, one line per method through the means.

Each seed is a dot. Takes runs as numbers; a method without qubits is a horizontal line.
"""

import functools
from collections.abc import Sequence
from typing import TypedDict

from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.panels import draw_by_size, ends_by_size
from qtha_lab.figures.machinery.table import Table


class QubitBudgetRun(TypedDict):
    """Test accuracy of a method with one seed; `n_qubits` is None without qubits."""

    label: str
    n_qubits: int | None
    seed: int
    test_accuracy: float


def _example() -> dict:
    means = {
        ("network", 2): 0.71,
        ("network", 4): 0.83,
        ("network", 8): 0.86,
        ("components", 2): 0.66,
        ("components", 4): 0.81,
        ("components", 8): 0.84,
        ("linear", None): 0.88,
    }
    return {
        "runs": [
            {"label": label, "n_qubits": n, "seed": seed, "test_accuracy": mean + lift}
            for (label, n), mean in means.items()
            for seed, lift in enumerate((-0.02, 0.0, 0.02))
        ]
    }


@figure_function(example=_example)
def qubit_budget(runs: Sequence[QubitBudgetRun], theme: str = "light") -> Figure:
    """Plot test accuracy against the number of qubits.

    Args:
        runs: One per method, number of qubits and seed.
        theme: "light", "dark" or "page".

    Example:
        >>> run = {"label": "circuit", "n_qubits": 4, "seed": 0, "test_accuracy": 0.75}
        >>> qubit_budget([run]).alt
        'Test accuracy at the most qubits, mean over seeds: circuit 0.75 at 4.'
    """
    table = Table.of([dict(each) for each in runs], ("label", "n_qubits", "seed", "test_accuracy"))
    ends = ends_by_size(table.frame, "n_qubits", "test_accuracy")
    alt = f"Test accuracy at the most qubits, mean over seeds: {ends}."
    caption = (
        "Test accuracy against the number of qubits: means over seeds as lines, a dot for every"
        " seed; a method without qubits is a line across. A line that is flat from few qubits on"
        " needs no more of them. Does not show what other parts of a method grow with its qubits."
    )
    drawn = functools.partial(draw_by_size, table.frame, "n_qubits", "test_accuracy")
    title = "Accuracy at a budget of qubits"
    return Figure("qubit_budget", drawn, caption, alt, table, theme, title)

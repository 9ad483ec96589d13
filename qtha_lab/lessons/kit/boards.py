"""Drawings for the board of a class, by lesson, from the package's figures.

A lesson without an entry has its first picture on the board.
"""

from collections.abc import Callable

from qtha_lab.figures import circuit_diagram, mpo_diagram
from qtha_lab.figures.learning_rate import loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons.recordings import recorded

FORK = ("lora(r=8)", "qtha(r=4,waist=16,bond_dim=3)")


def _regrouped() -> Figure:
    """Draw two cores of a 4 × 4 matrix, with their legs and bond."""
    return mpo_diagram((2, 2), (2, 2), [4])


def _rotation_and_flip() -> Figure:
    """Draw RY on wire 0 and a CNOT to wire 1."""
    return circuit_diagram(
        2,
        [
            {"name": "RY", "wires": [0], "angles": [{"source": "x"}]},
            {"name": "CNOT", "wires": [0, 1]},
        ],
    )


def _fork_of_rates() -> Figure:
    """Draw recorded losses of two methods against the learning rate."""
    runs = [run for method in FORK for run in recorded("tiny-chat").of(method)]
    return loss_against_rate(
        [
            {
                "label": run.method,
                "seed": run.seed,
                "learning_rate": run.learning_rate,
                "value": run.eval_loss,
            }
            for run in runs
        ]
    )


DRAWINGS: dict[int, Callable[[], Figure]] = {
    2: _regrouped,
    3: _rotation_and_flip,
    7: _fork_of_rates,
}


def board_drawing(lesson: int) -> Figure | None:
    """Return the drawing for the board of a lesson; None without one.

    Example:
        >>> board_drawing(3).alt
        'Circuit of 2 qubits with 2 gates (1 RY, 1 CNOT), depth 2.'
    """
    draw = DRAWINGS.get(lesson)
    return draw() if draw else None

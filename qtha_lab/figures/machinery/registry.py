"""Registry of figure functions, each with example data.

A function registers itself with `@figure_function`. Tests and the gallery draw all of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from qtha_lab.core.registry import Registry
from qtha_lab.figures.machinery.figure import Figure


class FigureFunction(NamedTuple):
    """Figure function with a function that returns example arguments."""

    name: str
    make: Callable[..., Figure]
    arguments: Callable[[], dict[str, Any]]

    def example(self, **changes: Any) -> Figure:
        """Return the figure of the example data."""
        return self.make(**{**self.arguments(), **changes})


FIGURES: Registry[FigureFunction] = Registry("figure", "qtha_lab.figures", group="qtha_lab.figures")


def figure_function(example: Callable[[], dict[str, Any]]) -> Callable:
    """Register the decorated function.

    Args:
        example: Returns example keyword arguments, for tests and the gallery.

    Example:
        >>> [entry.name for entry in figure_functions()][:2]
        ['angle_landscape', 'best_of_trials']
        >>> FIGURES["pareto"].example().name
        'pareto_eval_loss_trainable_parameters'
    """

    def register(function: Callable[..., Figure]) -> Callable[..., Figure]:
        entry = FigureFunction(function.__name__, function, example)
        FIGURES.add(entry.name, entry, function.__module__)
        return function

    return register


def figure_functions() -> list[FigureFunction]:
    """Return all figure functions, by name."""
    return list(FIGURES.values())

"""Every figure function by name, each with data that it can draw at once.

A function registers itself with `@figure_function`; tests and the gallery go through all of them.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from qtha_lab.core.registry import Registry
from qtha_lab.figures.machinery.figure import Figure


class FigureFunction(NamedTuple):
    """A figure function and what gives it example arguments."""

    name: str
    make: Callable[..., Figure]
    arguments: Callable[[], dict[str, Any]]

    def example(self, **changes: Any) -> Figure:
        """The figure of the example data."""
        return self.make(**{**self.arguments(), **changes})


FIGURES: Registry[FigureFunction] = Registry("figure", "qtha_lab.figures", group="qtha_lab.figures")


def figure_function(example: Callable[[], dict[str, Any]]) -> Callable:
    """Register the function below.

    Args:
        example: Gives keyword arguments that it can draw at once, for tests and the gallery.

    Example:
        >>> [entry.name for entry in figure_functions()][:2]
        ['best_of_trials', 'bond_history']
        >>> FIGURES["pareto"].example().name
        'pareto_eval_loss_trainable_parameters'
    """

    def register(function: Callable[..., Figure]) -> Callable[..., Figure]:
        entry = FigureFunction(function.__name__, function, example)
        FIGURES.add(entry.name, entry, function.__module__)
        return function

    return register


def figure_functions() -> list[FigureFunction]:
    """All figure functions, by name."""
    return list(FIGURES.values())

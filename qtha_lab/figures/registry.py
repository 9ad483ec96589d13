"""Every figure function by name, each with data that it can draw at once.

A function registers itself with `@figure_function`; tests and the gallery go through all of them.
"""

import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, NamedTuple

from qtha_lab import figures
from qtha_lab.figures.figure import Figure


class FigureFunction(NamedTuple):
    """A figure function and what gives it example arguments."""

    name: str
    make: Callable[..., Figure]
    arguments: Callable[[], dict[str, Any]]

    def example(self, **changes: Any) -> Figure:
        """The figure of the example data."""
        return self.make(**{**self.arguments(), **changes})


_FOUND: dict[str, FigureFunction] = {}


def figure_function(example: Callable[[], dict[str, Any]]) -> Callable:
    """Register the function below; `example` gives its keyword arguments."""

    def register(make: Callable[..., Figure]) -> Callable[..., Figure]:
        _FOUND[make.__name__] = FigureFunction(make.__name__, make, example)
        return make

    return register


@functools.cache
def _discover() -> None:
    for module in pkgutil.iter_modules(figures.__path__):
        importlib.import_module(f"{figures.__name__}.{module.name}")


def figure_functions() -> list[FigureFunction]:
    """All figure functions, by name."""
    _discover()
    return [_FOUND[name] for name in sorted(_FOUND)]

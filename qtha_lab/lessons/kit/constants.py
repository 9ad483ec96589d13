"""Ranges of the constants in exercises, and where these constants stand.

A literal of a task, hint, solution or mistake is replaced by an expression of the drawn constants.
Exercises whose cases are arguments of a function have no constants in their tasks.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Constants(NamedTuple):
    """Declared ranges of one exercise.

    Attributes:
        ranges: Values to draw from, by name of one letter.
        places: Literal of the declared exercise, and the expression that replaces it.
    """

    ranges: Mapping[str, tuple[float, ...]]
    places: Mapping[str, str]


CONSTANTS: dict[str, Constants] = {
    "1.1": Constants(
        {"a": (2, 3, 4), "b": (6, 7, 8, 9)},
        {
            "$r = 2$": "$r = {a}$",
            "$r = 8$": "$r = {b}$",
            "2 + 8": "{a} + {b}",
            "= 8": "= {b}",
            "= 16": "= {a} * {b}",
            "= 6": "= {b} - {a}",
        },
    ),
    "2.3": Constants({"w": (20, 25, 30, 40, 50, 60)}, {"/40}": "/{w}}"}),
    "3.1": Constants(
        {"x": (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2)},
        {"0.7": "{x}", "0.35": "({x} / 2)"},
    ),
    "4.1": Constants(
        {"n": (3, 4, 5)},
        {
            "3 layers": "{n} layers",
            "frequency = 3": "frequency = {n}",
            "2**3": "2**{n}",
            "frequency = 4": "frequency = {n} + 1",
        },
    ),
    "5.3": Constants({"n": (6, 8, 12, 16)}, {"8 adapted": "{n} adapted", "1024 * 8": "1024 * {n}"}),
    "5.5": Constants(
        {"z": (0.4, 0.6, 0.8), "e": (0.01, 0.02, 0.05)},
        {
            "0.6": "{z}",
            "0.01": "{e}",
            "= 64": "= (1 - {z}**2) / {e}",
            "0.64": "(1 - {z}**2)",
        },
    ),
}

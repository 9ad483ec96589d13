"""Facts of a figure function, checked with its own example."""

import copy

import numpy as np

from qtha_lab.core.errors import describe_error
from qtha_lab.testing.facts import Broken, expect, fact


@fact("figure", "it draws in the light and the dark theme")
def draws(function) -> None:
    """Check that the example can be drawn in both themes."""
    for theme in ("light", "dark"):
        try:
            function.example(theme=theme).plotly  # noqa: B018  draws
        except Exception as problem:
            raise Broken(f"theme {theme} raises {describe_error(problem)}") from problem


@fact("figure", "two drawings are equal, and the numbers stay as they were")
def figure_repeatable(function) -> None:
    """Check that drawing twice gives one figure and leaves the arguments unchanged."""
    arguments = function.arguments()
    before = copy.deepcopy(arguments)
    first = function.make(**arguments)
    drawn = first.plotly.to_dict()
    expect(repr(arguments) == repr(before), "the drawing changes the numbers that it receives")
    again = function.make(**arguments)
    same = repr(drawn) == repr(again.plotly.to_dict()) and first.alt == again.alt
    expect(same, "two drawings differ")


@fact("figure", "its axes of numbers have titles")
def figure_titled(function) -> None:
    """Check that x and y have a title at some axis, unless names stand there."""
    drawn = function.example().plotly.to_dict()
    for letter in ("x", "y"):
        axes = [a for name, a in drawn["layout"].items() if name.startswith(f"{letter}axis")]
        shown = [a for a in axes if a.get("visible", True) and a.get("showticklabels", True)]
        titles = [(axis.get("title") or {}).get("text") for axis in shown]
        named = any(axis.get("ticktext") is not None for axis in shown) or _are_names(drawn, letter)
        expect(not titles or any(titles) or named, f"an axis has no title: {letter}")


def _are_names(drawn: dict, letter: str) -> bool:
    columns = [trace[letter] for trace in drawn["data"] if trace.get(letter) is not None]
    return any(np.asarray(column).dtype.kind in "OUS" for column in columns if len(column))


@fact("figure", "its caption and its alt text are sentences, and the alt text has a number")
def has_a_finding(function) -> None:
    """Check that caption and alt text are sentences, the alt text with a digit."""
    figure = function.example()
    for name in ("caption", "alt"):
        expect(getattr(figure, name).endswith("."), f"its {name} is no sentence")
    expect(any(c.isdigit() for c in figure.alt), f"no number in the alt text: {figure.alt!r}")


@fact("figure", "its table holds rows of plain values")
def tabled(function) -> None:
    """Check that the table has rows of text, numbers or None."""
    rows = function.example().table.rows
    expect(bool(rows), "its table is empty")
    for row in rows:
        for value in row:
            plain = isinstance(value, str | int | float | type(None))
            expect(plain, f"{type(value).__name__} in the table")

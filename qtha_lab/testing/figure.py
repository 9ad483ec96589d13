"""Facts of a figure function, checked with its own example."""

from qtha_lab.testing.facts import expect, fact


@fact("figure", "it draws in the light and the dark theme")
def draws(function) -> None:
    """Check that the example can be drawn in both themes."""
    for theme in ("light", "dark"):
        function.example(theme=theme)


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

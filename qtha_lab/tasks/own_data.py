"""Options for a user's own data, and labels as classes or numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.settings import setting
from qtha_lab.core.settings_help import with_arguments

PARTS = (
    "prompt", "response", "messages", "text", "pair", "label", "context", "choices", "key",
    "chosen", "rejected",
)  # fmt: skip
MOST_CLASSES = 20
"""Distinct whole numbers up to which labels are classes, whatever their values."""


@with_arguments
@dataclass(frozen=True)
class OwnData:
    """Column names of a user's own data, for unrecognised columns."""

    prompt: str | None = setting(None, "Column with the prompt.")
    response: str | None = setting(None, "Column with the response.")
    messages: str | None = setting(None, "Column with a list of messages (role, content).")
    text: str | None = setting(None, "Column with a text to classify, or a plain text.")
    pair: str | None = setting(None, "Column with the second text of a pair.")
    label: str | None = setting(None, "Column with the label of a text.")
    context: str | None = setting(None, "Column with a text above the prompt.")
    choices: str | None = setting(None, "Column with the choices of a question.")
    key: str | None = setting(None, "Column with the right choice: letter, number or text.")
    chosen: str | None = setting(None, "Column with the preferred answer.")
    rejected: str | None = setting(None, "Column with the rejected answer.")
    labels: str = setting(
        "auto",
        "Meaning of numeric labels: classes, numbers (squared error), or auto, by their values.",
        choices=("auto", "classes", "numbers"),
    )
    subset: str | None = setting(None, "Configuration of a Hugging Face data set.")
    limit: int = setting(20_000, "Most rows read from a Hugging Face data set.", ge=10)

    @property
    def columns(self) -> dict[str, str]:
        """Columns that are named, by part."""
        return {part: column for part in PARTS if (column := getattr(self, part))}


def are_numbers(labels: Sequence[str], meaning: str) -> bool:
    """Return whether labels are numbers of a regression, not classes.

    Labels of `auto` are numbers if one is not whole, or if they are many and leave gaps.

    Example:
        >>> are_numbers(["1", "5", "3"], "auto"), are_numbers(["0.5", "2"], "auto")
        (False, True)
    """
    numbers = [number_of(label) for label in labels]
    if meaning == "classes" or not labels:
        return False
    if None in numbers:
        if meaning == "numbers":
            wrong = labels[numbers.index(None)]
            raise Refusal(f"labels must be numbers, got {shortened(wrong, 40)!r}. Set labels=auto.")
        return False
    distinct = sorted({number for number in numbers if number is not None})
    if meaning == "numbers" or any(number != int(number) for number in distinct):
        return True
    is_range = distinct[-1] - distinct[0] + 1 == len(distinct) and distinct[0] in (0, 1)
    return len(distinct) > MOST_CLASSES and not (is_range and 2 * len(distinct) <= len(labels))


def number_of(label: str) -> float | None:
    """Return the finite number that a text writes, or None."""
    try:
        number = float(label)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def whole_number(label: str) -> str:
    """Write a whole number without its fraction, as tables turn 3 into 3.0.

    Example:
        >>> whole_number("3.0"), whole_number("2.5"), whole_number("007")
        ('3', '2.5', '007')
    """
    number = number_of(label)
    is_whole = number is not None and "." in label and number.is_integer()
    return str(int(number)) if is_whole and number is not None else label

"""Options for a user's own data, and labels as classes, ordered labels or numbers."""

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
"""Distinct whole numbers up to which labels are classes or ordered, whatever their values."""
ORDERED = ("stars", "rating", "score")
"""Columns whose three or more whole numbers are ordered labels."""


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
        "Meaning of numeric labels: classes, or by squared error ordered (such as stars) or "
        "numbers. auto decides by column and values.",
        choices=("auto", "classes", "ordered", "numbers"),
    )
    unlabelled: str | None = setting(
        None, "Label of rows that have none, such as -1; these rows are left aside."
    )
    merge_labels: bool = setting(False, "Merge labels that are equal up to case and blanks.")
    subset: str | None = setting(None, "Configuration of a Hugging Face data set.")
    limit: int = setting(20_000, "Most rows read from a Hugging Face data set.", ge=10)

    @property
    def columns(self) -> dict[str, str]:
        """Columns that are named, by part."""
        return {part: column for part in PARTS if (column := getattr(self, part))}


def label_meaning(labels: Sequence[str], chosen: str, column: str = "") -> str:
    """Return True if labels are "classes", "ordered" or "numbers".

    Labels of `auto` are numbers if one is not whole, or if they are many and leave gaps. Three or
    more whole numbers are ordered in a column such as `stars`, and classes in others.

    Args:
        labels: Labels as texts.
        chosen: The user's choice, or "auto".
        column: Name of the column.

    Example:
        >>> [label_meaning(["1", "5", "3"], "auto", column) for column in ("label", "stars")]
        ['classes', 'ordered']
        >>> label_meaning(["0.5", "2"], "auto")
        'numbers'
    """
    if chosen in ("ordered", "numbers"):
        _check_numbers(labels, chosen)
        return chosen
    numbers = [number for label in labels if (number := number_of(label)) is not None]
    if chosen == "classes" or not labels or len(numbers) < len(labels):
        return "classes"
    return _meaning_of(sorted({*numbers}), len(numbers), column)


def _check_numbers(labels: Sequence[str], chosen: str) -> None:
    for label in labels:
        number = number_of(label)
        if number is None:
            raise Refusal(f"labels must be numbers, got {shortened(label, 40)!r}. Set labels=auto.")
        if chosen == "ordered" and number % 1:
            raise Refusal(
                "labels must be whole numbers with labels=ordered, got "
                f"{shortened(label, 40)!r}. Set labels=numbers."
            )


def _meaning_of(distinct: Sequence[float], count: int, column: str) -> str:
    if any(number % 1 for number in distinct):
        return "numbers"
    is_range = distinct[-1] - distinct[0] + 1 == len(distinct) and distinct[0] in (0, 1)
    if len(distinct) > MOST_CLASSES and not (is_range and 2 * len(distinct) <= count):
        return "numbers"
    return "ordered" if column.lower() in ORDERED and len(distinct) > 2 else "classes"


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

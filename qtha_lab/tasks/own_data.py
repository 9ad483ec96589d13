"""Options for a user's own data, and its labels."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from qtha_lab.core.call_syntax import write_value
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


COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?")
THOUSANDS = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?")
UNLABELLED = ("-1", "-", "?", "nan", "none", "null", "n/a")


def plain_numbers(labels: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return labels with decimal commas and percents as plain numbers, and notes on it.

    Labels are unchanged unless all of them are written in the same way.

    Raises:
        Refusal: If commas may separate decimals or thousands.

    Example:
        >>> plain_numbers(["2,80", "13,5", "7"])[0], plain_numbers(["45 %", "7%"])[0]
        (['2.80', '13.5', '7'], ['45', '7'])
        >>> plain_numbers(["1,204.50", "7"])[0], plain_numbers(["good, bad", "7"])[0]
        (['1204.50', '7'], ['good, bad', '7'])
    """
    texts, notes = [label.strip() for label in labels], []
    if texts and all(text.endswith("%") for text in texts):
        texts = [text[:-1].rstrip() for text in texts]
        notes = ["Labels are read as percents. Set labels=classes for classes."]
    if any("," in text for text in texts):
        texts, read = _without_commas(texts)
        notes += read
    if not notes or any(number_of(text) is None for text in texts):
        return list(labels), []
    return texts, notes


def _without_commas(texts: list[str]) -> tuple[list[str], list[str]]:
    decimal, thousands = (all(map(form.fullmatch, texts)) for form in (COMMA, THOUSANDS))
    if decimal and thousands:
        first = next(text for text in texts if "," in text)
        raise Refusal(
            f"labels must state decimals without doubt, got {shortened(first, 40)!r}. Write "
            f"{first.replace(',', '')} or {first.replace(',', '.')}, or set labels=classes."
        )
    note = "Labels are read as numbers with {}. Set labels=classes for classes."
    if decimal:
        plain = [text.replace(".", "").replace(",", ".") for text in texts]
        return plain, [note.format("decimal commas")]
    if thousands:
        return [text.replace(",", "") for text in texts], [note.format("commas between thousands")]
    return texts, []


def spellings(labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the labels that are equal up to case and blanks, by their common form."""
    forms: dict[str, list[str]] = defaultdict(list)
    for label in dict.fromkeys(labels):
        forms[" ".join(label.split()).casefold()].append(label)
    return {form: each for form, each in forms.items() if len(each) > 1}


def merged_labels(labels: Sequence[str]) -> list[str]:
    """Return labels in the most frequent of their spellings.

    Example:
        >>> merged_labels(["Good", "good ", "Good", "bad"])
        ['Good', 'Good', 'Good', 'bad']
    """
    often = Counter(labels)
    merged = {
        label: max(each, key=lambda one: often[one])
        for each in spellings(labels).values()
        for label in each
    }
    return [merged.get(label, label) for label in labels]


def label_findings(labels: Sequence[str], rows: int) -> Iterator[str]:
    """Yield a sentence, with the option that mends it, on each suspicious label."""
    for each in spellings(labels).values():
        names = " and ".join(repr(shortened(label, 30)) for label in each[:3])
        yield f"Labels {names} differ in case or blanks only. Set merge_labels=true."
    for label in labels:
        if _is_missing(label, labels):
            value = write_value(label) if number_of(label) is None else label
            yield (
                f"Label {label!r} often marks rows without a label. Set unlabelled={value} to "
                "leave them aside."
            )
    if len(labels) * 10 > rows:
        numeric = all(number_of(label) is not None for label in labels)
        remedy = "Set labels=numbers" if numeric else "Name the right column by label=COLUMN"
        yield f"The {len(labels):,} labels are more than a tenth of the {rows:,} rows. {remedy}."


def _is_missing(label: str, labels: Sequence[str]) -> bool:
    """Return True if a label usually marks missing labels; -1 does only beside 0."""
    if label == "-1":
        return "0" in labels
    return label.strip().lower() in UNLABELLED

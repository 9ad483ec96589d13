"""Labels of own data as they are written: decimal commas, percents, spellings, missing labels."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence

from qtha_lab.core.call_syntax import write_value
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.tasks.own_data import number_of

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
    """Yield a sentence, with the option that mends it, on each suspicious label.

    Args:
        labels: Distinct labels.
        rows: Number of rows of all sides.
    """
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

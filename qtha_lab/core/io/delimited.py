"""Reader of CSV and TSV: names in the first line, one row per record."""

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.json_lines import LONGEST_LINE, at_line
from qtha_lab.core.io.read_counts import ReadCounts
from qtha_lab.core.io.text import shortened
from qtha_lab.core.io.unpacked import text_lines

DELIMITERS = ",;\t|"
MOST_COLUMNS = 2**14
INDEX = "Unnamed: 0"  # pandas' name for the index that `to_csv` writes without one
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def delimited_rows(
    path: Path, counts: ReadCounts, delimiter: str | None = None
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line number and the values of each row; an empty field is None.

    Args:
        path: File to read.
        counts: Counts that a packed file adds to.
        delimiter: Separator of the fields; None takes the one that splits the names best.
    """
    csv.field_size_limit(LONGEST_LINE)
    lines = _lines(path, counts)
    start, first = next(lines, (0, ""))
    if first.startswith("sep=") and first[4:5] in DELIMITERS:  # Excel's own first line
        delimiter = first[4:5].strip("\r\n") or delimiter
        start, first = next(lines, (0, ""))
    delimiter = delimiter or _delimiter(first)
    is_bare = delimiter == "\t" and _has_bare_quotes(path)
    reader = csv.reader(
        itertools.chain([first], (line for _, line in lines)),
        delimiter=delimiter,
        quoting=csv.QUOTE_NONE if is_bare else csv.QUOTE_MINIMAL,
        strict=True,
    )
    try:
        names: list[str] = []
        for fields in reader:
            number = start + reader.line_num - 1
            if not any(field.strip() for field in fields):
                continue
            if not names:
                names = _names(path, number, fields)
                continue
            if len(fields) != len(names):
                raise at_line(
                    path,
                    number,
                    f"a row must have {len(names)} columns, got {len(fields)}. Quote a field that "
                    f"holds {delimiter!r}.",
                )
            values = (field if field.strip() else None for field in fields)
            yield number, dict(zip(names, values, strict=True))
    except csv.Error as problem:
        raise at_line(
            path, start + reader.line_num - 1, f"a row must be CSV, got {problem}."
        ) from None


def _lines(path: Path, counts: ReadCounts) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a table from the first that is not blank."""
    numbered = enumerate(text_lines(path, counts), 1)
    for number, line in itertools.dropwhile(lambda pair: not pair[1].strip(), numbered):
        if "\0" in line:
            raise Refusal(
                f"{path.name} must be text, got a binary file. Save the table as CSV UTF-8."
            )
        yield number, line


def _names(path: Path, number: int, fields: list[str]) -> list[str]:
    if len(fields) > MOST_COLUMNS:
        rule = f"a table must have at most {MOST_COLUMNS:,} columns, got {len(fields):,}."
        raise at_line(path, number, rule)
    names = [field.strip() for field in fields]
    names[0] = names[0] or INDEX
    while not names[-1]:
        names.pop()  # a delimiter at the end of the line
    names += [f"column {place}" for place in range(len(names) + 1, len(fields) + 1)]
    often = Counter(names)
    repeated = next((name for name in names if often[name] > 1 or not name), None)
    if repeated is not None:
        raise at_line(
            path,
            number,
            "names of columns must be different and not empty, got "
            f"{shortened(repeated, 40)!r} again.",
        )
    return names


def _delimiter(first: str) -> str:
    """Return the delimiter that splits the first line into most fields."""
    return max(
        DELIMITERS, key=lambda delimiter: len(next(csv.reader([first], delimiter=delimiter), []))
    )


def _has_bare_quotes(path: Path) -> bool:
    """Return True if quotes of a tab-separated file are text, as in GLUE.

    Each line then has the same number of fields, and a quoted field is not closed.
    """
    columns, is_bare = 0, False
    for _, line in _lines(path, ReadCounts()):
        fields = line.rstrip("\r\n").split("\t")
        columns = columns or len(fields)
        if line.strip() and len(fields) != columns:
            return False
        is_bare |= any(f.startswith('"') and not QUOTED.fullmatch(f) for f in fields)
    return is_bare

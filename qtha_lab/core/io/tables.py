"""Reader of CSV, TSV, JSON, JSON Lines, Parquet and plain text, also gzipped."""

import csv
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import MOST_BYTES, MOST_ROWS, MOST_VALUES, ReadCounts
from qtha_lab.core.io.json_lines import LONGEST_LINE, at_line, records, records_in
from qtha_lab.core.io.parquet import parquet_rows
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened
from qtha_lab.core.io.unpacked import is_packed, open_unpacked, text_lines, whole_text

DELIMITERS = ",;\t|"
MOST_COLUMNS = 2**14
INDEX = "Unnamed: 0"  # pandas' name for the index that `to_csv` writes without one
QUOTED = re.compile(r'"(?:[^"]|"")*"')


def delimited_rows(
    path: Path, counts: ReadCounts, delimiter: str | None = None
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """Yield the line number and the values of each row; an empty field is None."""
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


SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
LARGEST_JSON = 2**27  # characters of a document that is parsed whole
FEWEST_PARAGRAPHS = 10
Rows = Iterator[tuple[int, dict[str, Any]]]


def table_suffix(name: str) -> str:
    """Return the suffix of a file of rows, without `.gz`; empty for another file.

    Example:
        >>> table_suffix("Reviews.CSV.gz"), table_suffix("owner/data")
        ('.csv', '')
    """
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if plain.endswith(suffix)), "")


def table_rows(path: Path, counts: ReadCounts | None = None) -> Rows:
    """Yield the line or row number and the values of each row of a file.

    Args:
        path: File to read.
        counts: Counts of the files of a data set; None counts this file alone.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: Naming the file and the first line that cannot be read.
    """
    counts = counts or ReadCounts()
    return counts.counted(path, _rows(path, counts))


def _rows(path: Path, counts: ReadCounts) -> Rows:
    suffix = table_suffix(path.name)
    if suffix == ".parquet":
        return parquet_rows(path, counts)
    if suffix in (".jsonl", ".ndjson"):
        return _packed_lines(path, counts) if is_packed(path) else records(path)
    if suffix == ".json":
        return _json_rows(path, counts)
    if suffix == ".txt":
        return _paragraphs(path, counts)
    return delimited_rows(path, counts, "\t" if suffix == ".tsv" else None)


def _packed_lines(path: Path, counts: ReadCounts) -> Rows:
    with open_unpacked(path, counts) as lines:
        yield from records_in(path, lines)


def _json_rows(path: Path, counts: ReadCounts) -> Rows:
    """Yield the objects of JSON Lines, a list, or an object with one list."""
    with open_unpacked(path, ReadCounts()) as lines:
        head = [lines.readline(LONGEST_LINE).strip().removeprefix(b"\xef\xbb\xbf") for _ in "ab"]
    if all(line.startswith(b"{") for line in head):
        yield from _packed_lines(path, counts)
        return
    text = whole_text(path, counts, LARGEST_JSON)
    if sum(map(text.count, "{[,")) > MOST_VALUES:  # an upper bound
        raise Refusal(
            f"{path.name} must have at most {MOST_VALUES:,} values as one document, got more. "
            "Save the rows as JSON Lines."
        )
    try:
        value = parse_json(text, constants=False)
    except Refusal as problem:
        raise Refusal(f"{path.name}: {problem}") from None
    if isinstance(value, dict):
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else value
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise Refusal(
            f"{path.name} must hold a list of objects, one per row, got "
            f"{shortened(text.strip(), 40)!r}. Write [{{…}}, {{…}}], or one object per line in a "
            ".jsonl."
        )
    for number, row in enumerate(value, 1):
        _check_characters(path, number, row)
        yield number, row


def _check_characters(path: Path, number: int, row: dict[str, Any]) -> None:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError as problem:
        half = ord(problem.object[problem.start])
        raise Refusal(
            f"{path.name}, row {number}: text must be whole characters, got half of one, "
            f"\\u{half:04x}."
        ) from None


def _paragraphs(path: Path, counts: ReadCounts) -> Rows:
    """Yield the paragraphs of a text; its lines if there are few paragraphs."""
    parts = _parts(path, counts)
    first = list(itertools.islice(parts, FEWEST_PARAGRAPHS))
    if len(first) < FEWEST_PARAGRAPHS:
        for start, lines in first:
            yield from ((number, {"text": line}) for number, line in enumerate(lines, start))
        return
    for start, lines in itertools.chain(first, parts):
        yield start, {"text": "\n".join(lines)}


def _parts(path: Path, counts: ReadCounts) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line, and the lines, of each paragraph."""
    texts = text_lines(path, counts, longest=MOST_BYTES)
    lines = enumerate((line for text in texts for line in text.splitlines()), 1)
    for filled, part in itertools.groupby(lines, key=lambda pair: bool(pair[1].strip())):
        if filled:
            start, first = next(part)
            rest = [line for _, line in itertools.islice(part, MOST_ROWS)]
            if len(rest) == MOST_ROWS:
                rule = f"a paragraph must have at most {MOST_ROWS:,} lines, got more."
                raise at_line(path, start, rule)
            yield start, [first, *rest]

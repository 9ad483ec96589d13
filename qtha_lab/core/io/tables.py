"""Reader of CSV, TSV, JSON, JSON Lines, Parquet and plain text, also gzipped.

An error names the file and the line or row. Values of CSV are text; an empty field is missing.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.delimited import delimited_rows
from qtha_lab.core.io.json_lines import LONGEST_LINE, at_line, records, records_in
from qtha_lab.core.io.parquet import parquet_rows
from qtha_lab.core.io.read_counts import MOST_BYTES, MOST_ROWS, MOST_VALUES, ReadCounts
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened
from qtha_lab.core.io.unpacked import is_packed, open_unpacked, text_lines, whole_text

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

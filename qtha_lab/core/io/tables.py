"""Reader of CSV, TSV, JSON, JSON Lines, Parquet and plain text, also gzipped.

An error names the file and the line or row. Values of CSV are text; an empty field is missing.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import logging
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import open_file
from qtha_lab.core.io.json_lines import LONGEST_LINE, at_line, likely_encoding, records, records_in
from qtha_lab.core.io.strict_json import parse_json
from qtha_lab.core.io.text import shortened

log = logging.getLogger(__name__)

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".txt")
LARGEST = 2**28  # bytes of a file that is read whole
DELIMITERS = ",;\t|"
FEWEST_PARAGRAPHS = 10
UNLABELLED = -1  # of a column with names of labels
Rows = Iterator[tuple[int, dict[str, Any]]]


def table_suffix(name: str) -> str:
    """Return the suffix of a file of rows, without `.gz`; empty for another file.

    Example:
        >>> table_suffix("Reviews.CSV.gz"), table_suffix("owner/data")
        ('.csv', '')
    """
    plain = name.lower().removesuffix(".gz")
    return next((suffix for suffix in SUFFIXES if plain.endswith(suffix)), "")


def table_rows(path: Path) -> Rows:
    """Yield the line or row number and the values of each row of a file.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: Naming the file and the first line that cannot be read.
    """
    suffix = table_suffix(path.name)
    if suffix == ".parquet":
        return _parquet_rows(path)
    if suffix in (".jsonl", ".ndjson"):
        return _packed_lines(path) if path.name.lower().endswith(".gz") else records(path)
    content = _content(path)
    if suffix == ".json":
        return _json_rows(path, content)
    text = _text(path, content)
    if suffix == ".txt":
        return _paragraphs(text)
    return _csv_rows(path, text, "\t" if suffix == ".tsv" else None)


def _packed_lines(path: Path) -> Rows:
    with open_file(path) as file, _unpacked(path, file) as lines:
        yield from records_in(path, lines, LARGEST)


@contextlib.contextmanager
def _unpacked(path: Path, file: BinaryIO) -> Iterator[BinaryIO]:
    """Open gzip data; a damaged file is a refusal."""
    try:
        with gzip.GzipFile(fileobj=file) as lines:
            yield cast(BinaryIO, lines)
    except (EOFError, OSError, zlib.error) as problem:
        raise Refusal(
            f"{path.name} must be a gzip file, got {shortened(problem, 80)}. Pack it again."
        ) from None


def _content(path: Path) -> bytes:
    """Read a file whole, unpacked if its name ends in `.gz`."""
    with open_file(path, LARGEST) as file:
        if not path.name.lower().endswith(".gz"):
            return file.read(LARGEST)
        with _unpacked(path, file) as lines:
            content = lines.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise Refusal(f"{path.name} must have at most {LARGEST / 2**20:g} MiB unpacked, got more.")
    return content


def _text(path: Path, content: bytes) -> str:
    """Decode UTF-8, with or without Excel's byte order mark, or UTF-16 with one."""
    if content.startswith(b"PK\x03\x04"):
        raise Refusal(
            f"{path.name} must be text, got a spreadsheet or zip file. Save the sheet as CSV UTF-8."
        )
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        encoding = "UTF-16" if wide else likely_encoding(content)
        raise at_line(
            path,
            line,
            f"text must be UTF-8, got bytes that look like {encoding}. Save the file as UTF-8.",
        ) from None


def _json_rows(path: Path, content: bytes) -> Rows:
    """Yield the objects of JSON Lines, a list, or an object with one list."""
    text = _text(path, content).strip()
    lines = text.split("\n", 2)
    if len(lines) > 1 and all(line.strip().startswith("{") for line in lines[:2]):
        yield from records_in(path, io.BytesIO(content), LARGEST)
        return
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
            f"{shortened(text, 40)!r}. Write [{{…}}, {{…}}], or one object per line in a .jsonl."
        )
    yield from enumerate(value, 1)


def _paragraphs(text: str) -> Rows:
    """Yield the paragraphs of a text; its lines if there are few paragraphs."""
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1)]
    groups = itertools.groupby(lines, key=lambda pair: bool(pair[1].strip()))
    parts = [list(part) for filled, part in groups if filled]
    if len(parts) < FEWEST_PARAGRAPHS:
        parts = [[pair] for part in parts for pair in part]
    for part in parts:
        yield part[0][0], {"text": "\n".join(line for _, line in part)}


def _csv_rows(path: Path, text: str, delimiter: str | None) -> Rows:
    """Yield the rows of a table with names in its first line."""
    if text[:4] == "sep=" and text[4:5] in DELIMITERS:  # Excel's own first line
        delimiter, text = text[4], text.partition("\n")[2]
    if "\0" in text:
        raise Refusal(f"{path.name} must be text, got a binary file. Save the table as CSV UTF-8.")
    csv.field_size_limit(LONGEST_LINE)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter or _delimiter(text), strict=True
    )
    names: list[str] = []
    try:
        for fields in reader:
            if not any(field.strip() for field in fields):
                continue
            if not names:
                names = _names(path, fields)
                continue
            if len(fields) != len(names):
                raise at_line(
                    path,
                    reader.line_num,
                    f"a row must have {len(names)} columns, got {len(fields)}. Quote a field that "
                    f"holds {reader.dialect.delimiter!r}.",
                )
            values = (field if field.strip() else None for field in fields)
            yield reader.line_num, dict(zip(names, values, strict=True))
    except csv.Error as problem:
        raise at_line(path, reader.line_num, f"a row must be CSV, got {problem}.") from None


def _names(path: Path, fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    while names and not names[-1]:
        names.pop()  # a delimiter at the end of the line
    names += [f"column {place}" for place in range(len(names) + 1, len(fields) + 1)]
    repeated = next((name for i, name in enumerate(names) if name in names[:i] or not name), None)
    if repeated is not None:
        raise at_line(
            path, 1, f"names of columns must be different and not empty, got {repeated!r} again."
        )
    return names


def _delimiter(text: str) -> str:
    """Return the delimiter that splits the first line into most fields."""
    first = text.lstrip().partition("\n")[0]
    return max(
        DELIMITERS, key=lambda delimiter: len(next(csv.reader([first], delimiter=delimiter), []))
    )


def _parquet_rows(path: Path) -> Rows:
    from qtha_lab.core.optional import require_extra

    require_extra("hub", "A Parquet file", "pyarrow")
    import pyarrow
    import pyarrow.parquet

    try:
        with open_file(path) as file:
            table = pyarrow.parquet.ParquetFile(file)
            names = _label_names(table.schema_arrow.metadata or {})
            number = 0
            for batch in table.iter_batches(1024):
                for row in batch.to_pylist():
                    number += 1
                    if all(row[column] != UNLABELLED for column in names):
                        yield number, row | dict(_named(row, names))
    except pyarrow.ArrowException as problem:
        reason = shortened(str(problem).splitlines()[0], 120)
        raise Refusal(
            f"{path.name} must be a Parquet file, got {reason}. Write it again."
        ) from None


def _named(row: dict[str, Any], names: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    for column, labels in names.items():
        place = row[column]
        if isinstance(place, int) and 0 <= place < len(labels):
            yield column, labels[place]


def _label_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the label names that Hugging Face data sets store, by column."""
    try:
        note = parse_json(metadata.get(b"huggingface", b"{}"))
        features = note["info"]["features"]
        return {
            column: feature["names"]
            for column, feature in features.items()
            if isinstance(feature, dict) and isinstance(feature.get("names"), list)
        }
    except (Refusal, LookupError, TypeError, AttributeError) as reason:
        log.debug("the table names no labels: %s", reason)
        return {}

"""Strict parser of JSON Lines files; errors name the file and the line.

Repeated keys, NaN and lone surrogates are refused.
"""

import codecs
import io
import json
import lzma
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io.files import MOST_LINES, open_file, read_bytes
from qtha_lab.core.io.text import shortened

LONGEST_LINE = 2**20  # bytes; a model reads some thousand tokens of a row
PACKED_LIMIT = 2**26  # bytes of a shipped file after decompression
EXAMPLE = '{"prompt": …, "response": …}'
OTHER_FORMATS = {
    b"\x1f\x8b": "a gzip archive. Give it the suffix .gz",
    b"BZh": "a bzip2 archive. Unpack it first",
    b"\xfd7zXZ": "an xz archive. Unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd archive. Unpack it first",
    b"PK\x03\x04": "a zip file or a spreadsheet. Save its rows as JSON Lines or CSV",
    b"PAR1": "a Parquet file. Give it the suffix .parquet",
    codecs.BOM_UTF16_LE: "UTF-16. Save it as UTF-8",
    codecs.BOM_UTF16_BE: "UTF-16. Save it as UTF-8",
}


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line that is not blank.

    Raises:
        FileNotFoundError: If there is no such file.
        Refusal: Naming the file and the number of the first line that holds no JSON object.
    """
    with open_file(path) as lines:
        _check_format(path, lines.read(8))
        lines.seek(0)
        yield from records_in(path, lines)


def records_in(
    path: Path, lines: BinaryIO, limit: int | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of opened lines, as `records` does."""
    number = total = 0
    while line := lines.readline(LONGEST_LINE + 1):
        number, total = number + 1, total + len(line)
        if limit is not None and total > limit:
            raise Refusal(
                f"{path.name} must have at most {limit / 2**20:g} MiB unpacked, got more."
            )
        if len(line) > LONGEST_LINE:
            size = f"{_size(line, lines) / 2**20:,.1f} MiB"
            rule = f"a row must have at most {LONGEST_LINE / 2**20:g} MiB, got {size}."
            raise at_line(path, number, rule)
        if number > MOST_LINES:
            raise Refusal(f"{path.name} must have at most {MOST_LINES:,} lines, got more.")
        text = _text(path, number, line)
        if text.strip():
            yield number, _record(path, number, text)


def packed_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of a shipped file that is compressed with xz, as `records` does.

    Raises:
        Refusal: If the file is damaged, or longer than `PACKED_LIMIT` when unpacked.
    """
    with lzma.open(io.BytesIO(read_bytes(path))) as lines:
        try:
            yield from records_in(path, cast(BinaryIO, lines), PACKED_LIMIT)
        except (lzma.LZMAError, EOFError) as problem:
            raise Refusal(f"{path.name} must be compressed with xz, got: {problem}.") from None


def at_line(path: Path, number: int, rule: str) -> Refusal:
    """Return the refusal of one line.

    Args:
        path: Path of the file.
        number: Number of the line, from 1.
        rule: Description of the fault.
    """
    return Refusal(f"{path.name}, line {number}: {rule}")


def _size(start: bytes, lines: BinaryIO) -> int:
    """Count the bytes of a line of which only the beginning was read."""
    size, part = len(start), start
    while part and not part.endswith(b"\n"):
        part = lines.readline(LONGEST_LINE)
        size += len(part)
    return size


def _check_format(path: Path, start: bytes) -> None:
    for magic, kind in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise Refusal(f"{path.name} must be JSON Lines, got {kind}.")
    if b"\0" in start[:8]:
        raise Refusal(f"{path.name} must be UTF-8 text, got UTF-16 or a binary file.")


def _text(path: Path, number: int, line: bytes) -> str:
    """Decode a line, without the byte order mark of the first line."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as problem:
        byte, column = problem.object[problem.start], problem.start + 1
        rule = f"text must be UTF-8, got byte 0x{byte:02x} at column {column}"
        likely = f"The file looks like {likely_encoding(line)}. Save it as UTF-8."
        raise at_line(path, number, f"{rule}. {likely}") from None


def likely_encoding(line: bytes) -> str:
    """Name the likely encoding of bytes; 0x80 to 0x9f are control characters in Latin-1 only."""
    if any(0x80 <= byte <= 0x9F for byte in line):
        return "Windows-1252"
    return "Latin-1 (ISO 8859-1)"


def _record(path: Path, number: int, text: str) -> dict[str, Any]:
    try:
        record = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
        if "\\u" in text:
            json.dumps(record, ensure_ascii=False).encode()
    except json.JSONDecodeError as problem:
        raise at_line(path, number, _not_json(text, problem)) from None
    except UnicodeEncodeError as problem:
        half = problem.object[problem.start]
        raise at_line(
            path,
            number,
            f"text must be whole characters, got half of one, \\u{ord(half):04x}. An export "
            "that cuts texts leaves such a surrogate.",
        ) from None
    except RecursionError:
        raise at_line(
            path, number, "brackets must be nested less deeply, got more levels than Python reads."
        ) from None
    except Refusal as problem:
        raise at_line(path, number, str(problem)) from None
    except ValueError:  # Python parses no integer of more than 4,300 digits
        raise at_line(path, number, "a number must have at most 4,300 digits, got more.") from None
    if not isinstance(record, dict):
        raise at_line(
            path,
            number,
            f"a line must be an object such as {EXAMPLE}, got {shortened(text.strip(), 40)!r}.",
        )
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        repetition = next(name for name, count in Counter(names).items() if count > 1)
        raise Refusal(
            f"A key must occur once in an object, got {shortened(repetition, 40)!r} twice."
        )
    return record


def _no_number(name: str) -> NoReturn:
    raise Refusal(
        f"A value must be a number of JSON, got {name}. Write a number, or remove the row."
    )


def _not_json(text: str, problem: json.JSONDecodeError) -> str:
    start, hint = text.strip(), "Correct or remove the line."
    if start in ("[", "{") or start.startswith("[{"):
        hint = "Write one whole object per line, with no comma after it."
    elif not start.startswith(("{", "[")):
        hint = f"The file looks like CSV or plain text. Write each row as an object, {EXAMPLE}."
    return f"a line must be JSON, got: {problem.msg} at column {problem.colno}. {hint}"

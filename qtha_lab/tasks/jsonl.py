"""Reads a JSON Lines file strictly: every refusal names the file, and the line where there is one.

What JSON leaves open is refused, not guessed: repeated keys, NaN, half characters. Knows no columns.
"""

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from qtha_lab.errors import Refusal

LONGEST_LINE = 2**20  # bytes; a model reads some thousand tokens of a row
EXAMPLE = '{"prompt": …, "response": …}'
OTHER_FORMATS = {
    b"\x1f\x8b": "is compressed with gzip: unpack it first",
    b"BZh": "is compressed with bzip2: unpack it first",
    b"\xfd7zXZ": "is compressed with xz: unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with zstd: unpack it first",
    b"PK\x03\x04": "is a zip file or a spreadsheet: save its rows as JSON Lines",
    b"PAR1": "is a Parquet file: give the folder that holds it, as a data set",
    codecs.BOM_UTF16_LE: "looks like UTF-16: save it as UTF-8",
    codecs.BOM_UTF16_BE: "looks like UTF-16: save it as UTF-8",
}


def records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The number of each line that is not blank, with the object on it.

    Raises:
        Refusal: Naming the file and the number of the first line that holds no JSON object.
    """
    try:
        with path.open("rb") as lines:
            _check_format(path, lines.peek(8))
            number = 0
            while line := lines.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise at_line(path, number, f"it is {_size(line, lines) / 2**20:,.1f} MiB long, "
                                  f"where a row has at most {LONGEST_LINE / 2**20:g} MiB")  # fmt: skip
                text = _text(path, number, line)
                if text.strip():
                    yield number, _record(path, number, text)
    except OSError as problem:
        raise Refusal(f"{path} cannot be read: {problem.strerror}") from None


def at_line(path: Path, number: int, rule: str) -> Refusal:
    """The refusal of one line, to be raised.

    Args:
        path: The file.
        number: Of the line, from 1.
        rule: What is wrong with it.
    """
    return Refusal(f"{path.name}, line {number}: {rule}")


def _size(start: bytes, lines: BinaryIO) -> int:
    """Bytes of a line of which only the start was read."""
    size, piece = len(start), start
    while piece and not piece.endswith(b"\n"):
        piece = lines.readline(LONGEST_LINE)
        size += len(piece)
    return size


def _check_format(path: Path, start: bytes) -> None:
    for magic, rule in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise Refusal(f"{path.name} {rule}")
    if b"\0" in start[:8]:
        raise Refusal(f"{path.name} is not text: it looks like UTF-16 or a binary file")


def _text(path: Path, number: int, line: bytes) -> str:
    """A line as text; a byte order mark before the first is passed over."""
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as problem:
        byte, column = problem.object[problem.start], problem.start + 1
        raise at_line(path, number, f"byte 0x{byte:02x} at column {column} is not UTF-8; the file looks like "
                      f"{_likely_encoding(line)}: save it as UTF-8") from None  # fmt: skip


def _likely_encoding(line: bytes) -> str:
    """What an editor would call it: 0x80 to 0x9f are control characters in Latin-1 alone."""
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
        raise at_line(path, number, f"\\u{ord(half):04x} is half a character (a lone surrogate, "
                      "as an export that cuts texts leaves it)") from None  # fmt: skip
    except RecursionError:
        raise at_line(path, number, "its brackets are nested too deeply") from None
    except Refusal as problem:
        raise at_line(path, number, str(problem)) from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise at_line(path, number, "a number in it has too many digits") from None
    if not isinstance(record, dict):
        raise at_line(path, number, f"it is not an object such as {EXAMPLE}")
    return record


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        names = [name for name, _ in pairs]
        repetition = next(name for i, name in enumerate(names) if name in names[:i])
        raise Refusal(f"{repetition[:40]!r} is given twice")
    return record


def _no_number(name: str) -> NoReturn:
    raise Refusal(f"{name} is not a value of JSON: leave the row out or write a number")


def _not_json(text: str, problem: json.JSONDecodeError) -> str:
    start, hint = text.strip(), ""
    if start in ("[", "{") or start.startswith("[{"):
        hint = "; write one whole object per line, with no comma after it"
    elif not start.startswith(("{", "[")):
        hint = f"; it looks like CSV or plain text: write each row as an object, {EXAMPLE}"
    return f"not JSON ({problem.msg} at column {problem.colno}){hint}"

"""Foreign text and file names: output without control sequences, formulas or endless lines."""

import os
import re
import sys
import unicodedata
from typing import Any, TextIO

from qtha_lab.core.errors import Refusal

BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of text."""
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def printable(text: str, *, lines: bool = False) -> str:
    r"""Replace every character that could control a terminal by its escape.

    Example:
        >>> printable("a\x1b[31mb\x00")
        'a\\x1b[31mb\\x00'
        >>> printable("one\ntwo"), printable("one\ntwo", lines=True)
        ('one\\ntwo', 'one\ntwo')
    """
    if text.isprintable():
        return text if text.isascii() or not BIDI.intersection(text) else "".join(map(_shown, text))
    if lines:  # most lines are printable, which is checked quickly
        return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    return "".join(map(_shown, text))


def shortened(value: Any, length: int = 80) -> str:
    """Return printable text of at most `length` characters; a path keeps its end.

    Example:
        >>> shortened("x" * 100, 10)
        'xxxxxxxxx…'
    """
    text = str(value)
    if isinstance(value, os.PathLike) and len(text) > length:
        return "…" + printable(text[-(length - 1) :])
    text = printable(text[: length + 1])
    return text if len(text) <= length else text[: length - 1] + "…"


def whole_number(text: str, most: int = 10**9) -> int | None:
    """Return the number that foreign text writes in ASCII digits; None for any other text.

    `str.isdigit` accepts digits that `int` refuses, such as "²".

    Args:
        text: Text of unknown origin.
        most: Largest accepted number.

    Example:
        >>> whole_number("12"), whole_number("²"), whole_number("-1"), whole_number("9" * 5000)
        (12, None, None, None)
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 20:
        return None
    return number if (number := int(text)) <= most else None


def csv_cell(value: Any) -> Any:
    """Return a cell that no spreadsheet reads as a formula; numbers stay numbers.

    Example:
        >>> csv_cell("=1+1"), csv_cell(-2.5)
        ("'=1+1", -2.5)
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def show(*texts: Any, to: TextIO | None = None, end: str = "\n") -> None:
    """Print text for the user, without control characters.

    Args:
        texts: Texts to print, separated by a space.
        to: Output stream; standard output by default.
        end: Text printed at the end.
    """
    stream = sys.stdout if to is None else to
    print(
        *(printable(str(text), lines=True) for text in texts), file=stream, end=end, flush=not end
    )


def _shown(character: str) -> str:
    """Escape a character unless it is printable or a space.

    A space of any width is kept; a bidirectional control character is escaped.
    """
    is_space = unicodedata.category(character) == "Zs"
    if (character.isprintable() or is_space) and character not in BIDI:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,254}")


def relative_name(text: str) -> str:
    """Return a relative file name that stays inside its folder.

    Args:
        text: Parts of letters, digits and `._+=@-`, separated by `/`; no part starts with a dot.

    Raises:
        Refusal: If the name is absolute, empty, climbs out of the folder or holds other characters.

    Example:
        >>> relative_name("adapter/adapter_model.safetensors")
        'adapter/adapter_model.safetensors'
        >>> relative_name("../x")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: A file name must stay inside its folder, got '../x'.
    """
    if not all(map(PART.fullmatch, text.split("/"))):
        raise Refusal(f"A file name must stay inside its folder, got {shortened(text)!r}.")
    return text

"""How the commands speak: tables and progress for people, JSON for programs.

Every text is shown letter by letter: `[…]` and `:…:` mean nothing here.
"""

import json
import re
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?( ?[\w%×±/ ]{,12})?( \[[\d.,–-]+\])?")


def print_json(value: Any) -> None:
    """Write one JSON document to standard output, and nothing else goes there."""
    print(json.dumps(value, indent=2))


def print_table(rows: Sequence[Sequence[str]], caption: str | None = None) -> None:
    """Print rows of text, the first one being the heading; numbers are aligned to the right."""
    heading, *body = rows
    table = Table(caption=caption and Text(caption), caption_justify="left", padding=(0, 0))
    for index, name in enumerate(heading):
        cells = [row[index] for row in body if row[index]]
        numeric = all(map(NUMBER.fullmatch, cells))
        lines = [line for cell in cells for line in _lines(cell).splitlines()]
        width = max(map(len, [*name.split(), *(lines if numeric else [])]))
        side = "right" if numeric else "left"
        table.add_column(Text(name), justify=side, min_width=width, overflow="fold")
    for row in body:
        table.add_row(*(Text(_lines(cell)) for cell in row))
    Console().print(table)


def _lines(cell: str) -> str:
    """A number's range below its mean."""
    return cell.replace(" [", "\n[") if NUMBER.fullmatch(cell) else cell


def progress() -> Progress:
    """A live bar per run on standard error, so that standard output stays clean."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=28),
        TextColumn("{task.completed:>4.0f}/{task.total:<4.0f}", markup=False),
        TextColumn("{task.fields[message]}", markup=False),
        console=Console(file=sys.stderr, markup=False, emoji=False),
    )


def duration(seconds: float | None) -> str:
    """A length of time as people say it.

    Example:
        >>> duration(75), duration(8000), duration(None)
        ('1 min 15 s', '2 h 13 min', '')
    """
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"

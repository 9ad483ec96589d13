"""Tables of text in characters: fast for thousands of rows, limited to the page width.

All text is printed literally. A cell that exceeds its column continues on the next line, between
words or between options of a label. `rich.table` breaks labels inside words, and is slow.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from qtha_lab.core.io import printable

NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?( ?[\w%×±/∥ ]{,12})?( \[[-+\d., –]+\])?")
WORD = re.compile(r"\s*(?:\[[-+\d.]+, [-+\d.]+\]\S*|\S+)")  # an interval is one word
BLANK = ("", "–")
SOFT = re.compile(r"(?<=[,/(;])(?=[^\s\d,/])")  # ends of options and folders
HEAD, RULE, FOOT = "┏━┳┓", "┡━╇┩", "└─┴┘"
NARROWEST = 20  # characters per line


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    r"""Return rows as a Markdown table; the first row is the heading.

    Example:
        >>> print(markdown_table([("a", "b"), ("1", "x|y")]))
        | a | b |
        | --- | --- |
        | 1 | x\|y |
    """
    heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [heading, ["---"] * len(heading), *body]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def text_table(rows: Sequence[Sequence[str]], caption: str | None, page: int) -> str:
    """Return rows as a text table; on a narrow page as one table per row.

    Example:
        >>> rows = [("method", "loss"), ("lora(r=2)", "4.1"), ("qtha(r=4,waist=16)", "4.25")]
        >>> print(text_table(rows, None, page=20))
        ┏━━━━━━━━━━━━━┳━━━━┓
        ┃method       ┃loss┃
        ┡━━━━━━━━━━━━━╇━━━━┩
        │lora(r=2)    │ 4.1│
        │qtha(r=4,    │4.25│
        │waist=16)    │    │
        └─────────────┴────┘
    """
    page = max(page, NARROWEST)
    heading, *body = [[_clean(cell) for cell in row] for row in rows]
    numeric = [_is_numeric(row[i] for row in body) for i in range(len(heading))]
    cells = [
        [_lines(cell) if n else cell for cell, n in zip(row, numeric, strict=True)] for row in body
    ]
    widths = _widths(heading, cells, numeric, page)
    if widths is None:
        return "\n".join(_records(heading, body, caption, page))
    sides = [str.rjust if n else str.ljust for n in numeric]
    lines = [_rule(HEAD, widths), *_row(heading, widths, sides, "┃"), _rule(RULE, widths)]
    for row in cells:
        lines += _row(row, widths, sides, "│")
    return "\n".join([*lines, _rule(FOOT, widths), *_caption(caption, page)])


def fitting(
    columns: Mapping[str, list[str]], page: int, omitted: Iterable[str]
) -> dict[str, list[str]]:
    """Return the columns that fit the page without a second line of text.

    Example:
        >>> list(fitting({"run": ["a"], "state": ["finished"], "note": ["long"]}, 14, ["note"]))
        ['run', 'state']
    """
    columns = dict(columns)
    lines = {n: map(_lines, cells) if _is_numeric(cells) else cells for n, cells in columns.items()}
    widths = {
        name: 1 + max([*map(cell_len, name.split()), *map(_length, cells)])
        for name, cells in lines.items()
    }
    for name in omitted:
        if sum(widths[each] for each in columns) + 1 > page:
            del columns[name]
    return columns


def fold(text: str, page: int) -> Iterator[str]:
    """Yield the lines of a text that fit a width, broken between words if possible.

    Example:
        >>> list(fold("qtha(r=4,waist=16) has 12 angles.", 16))
        ['qtha(r=4,', 'waist=16) has 12', 'angles.']
    """
    for line in text.splitlines() or [""]:
        row = ""
        for part in _breakable(line, page):
            if row and cell_len(row + part.rstrip()) > page:
                yield row.rstrip()
                row = part.lstrip()
            else:
                row += part
        yield row.rstrip()


def _breakable(line: str, page: int) -> Iterator[str]:
    """Yield the words of a line; words wider than the page in parts."""
    for word in WORD.findall(line):
        if cell_len(word.strip()) <= page:
            yield word
            continue
        for part in SOFT.split(word):
            yield from [part] if cell_len(part.strip()) <= page else chop_cells(part, page)


def _clean(cell: str) -> str:
    """Return a cell without control characters; its line breaks stay."""
    return "\n".join(map(printable, cell.split("\n")))


def _is_numeric(cells: Iterable[str]) -> bool:
    return all(NUMBER.fullmatch(cell) for cell in cells if cell not in BLANK)


def _lines(cell: str) -> str:
    """Write the range of a number below its mean."""
    return cell.replace(" [", "\n[")


def _length(cell: str) -> int:
    """Return the displayed width of the longest line."""
    if cell.isascii() and "\n" not in cell:
        return len(cell)
    return max(map(cell_len, cell.splitlines()), default=0)


def _longest_word(cell: str) -> int:
    """Return the displayed width of the longest part that `fold` keeps whole."""
    words = (word.strip() for word in WORD.findall(cell))
    return max((_length(part) for word in words for part in SOFT.split(word)), default=0)


def _caption(caption: str | None, page: int) -> Iterator[str]:
    return fold(_clean(caption), page) if caption else iter(())


def _records(
    heading: list[str], body: list[list[str]], caption: str | None, page: int
) -> Iterator[str]:
    """Yield a table of names and values per row, without empty values."""
    for first, *others in body:
        pairs = [(n, cell) for n, cell in zip(heading[1:], others, strict=True) if cell]
        yield text_table([(heading[0], first), *pairs], None, page)
    yield from _caption(caption, page)


def _widths(
    heading: list[str], body: list[list[str]], numeric: list[bool], page: int
) -> list[int] | None:
    """Return the column widths: those of the cells, reduced to fit the page.

    The widest columns are reduced first. Numbers never break, and words break in tables of two
    columns only; None if more columns do not fit.
    """
    columns = [(name, [row[i] for row in body]) for i, name in enumerate(heading)]
    available = page - len(columns) - 1
    widths = [min(max(map(_length, (name, *cells, " "))), page) for name, cells in columns]
    if sum(widths) <= available:
        return widths
    least = [
        max([_longest_word(name), 1, *map(_length if number else _longest_word, cells)])
        for (name, cells), number in zip(columns, numeric, strict=True)
    ]
    if sum(least) > available:
        if len(columns) > 2:
            return None
        least = [min(width, available // len(columns)) for width in least]
    while sum(widths) > available:
        widest = max((w, i) for i, w in enumerate(widths) if w > least[i])[1]
        widths[widest] -= 1
    return widths


def _rule(ends: str, widths: list[int]) -> str:
    left, line, cross, right = ends
    return left + cross.join(line * width for width in widths) + right


def _row(cells: Sequence[str], widths: list[int], sides: list, edge: str) -> Iterator[str]:
    """Yield the lines of one row."""
    if all(
        len(c) <= w and c.isascii() and "\n" not in c for c, w in zip(cells, widths, strict=True)
    ):
        padded = [side(c, w) for side, c, w in zip(sides, cells, widths, strict=True)]
        yield f"{edge}{edge.join(padded)}{edge}"
        return
    folded = [list(fold(cell, width)) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*folded, fillvalue=""):
        padded = [
            side(part, width - cell_len(part) + len(part))
            for side, part, width in zip(sides, parts, widths, strict=True)
        ]
        yield f"{edge}{edge.join(padded)}{edge}"

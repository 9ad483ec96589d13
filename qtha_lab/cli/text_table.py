"""Tables of text in characters: fast for thousands of rows, limited to the page width.

All text is printed literally; cells that exceed their column continue on the next line.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from qtha_lab.core.io import printable

NUMBER = re.compile(r"[-+]?[\d,.]+(e[-+]?\d+)?( ?[\w%×±/ ]{,12})?( \[[\d.,–-]+\])?")
HEAD, RULE, FOOT = "┏━┳┓", "┡━╇┩", "└─┴┘"


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
    """Return rows as a text table.

    Args:
        rows: The first row is the heading; a column of numbers is right-aligned.
        caption: A sentence below.
        page: Characters per line.

    Example:
        >>> rows = [("method", "loss"), ("lora", "4.1"), ("qtha", "4.25")]
        >>> print(text_table(rows, None, page=80))
        ┏━━━━━━┳━━━━┓
        ┃method┃loss┃
        ┡━━━━━━╇━━━━┩
        │lora  │ 4.1│
        │qtha  │4.25│
        └──────┴────┘
    """
    heading, *body = [[_clean(cell) for cell in row] for row in rows]
    columns = [[row[i] for row in body if row[i]] for i in range(len(heading))]
    numeric = [all(map(NUMBER.fullmatch, cells)) for cells in columns]
    body = [
        [_lines(cell) if n else cell for cell, n in zip(row, numeric, strict=True)] for row in body
    ]
    widths = _widths(heading, body, numeric, page)
    sides = [str.rjust if n else str.ljust for n in numeric]
    lines = [_rule(HEAD, widths), *_row(heading, widths, sides, "┃"), _rule(RULE, widths)]
    for row in body:
        lines += _row(row, widths, sides, "│")
    lines.append(_rule(FOOT, widths))
    return "\n".join(
        lines + (list(_fold(_clean(caption), sum(widths) + len(widths) + 1)) if caption else [])
    )


def _clean(cell: str) -> str:
    """Return a cell without control characters; its line breaks stay."""
    return "\n".join(map(printable, cell.split("\n")))


def _lines(cell: str) -> str:
    """Write the range of a number below its mean."""
    return cell.replace(" [", "\n[")


def _length(cell: str) -> int:
    """Return the displayed width of the longest line."""
    if cell.isascii() and "\n" not in cell:
        return len(cell)
    return max(map(cell_len, cell.splitlines()), default=0)


def _widths(
    heading: Sequence[str], body: list[list[str]], numeric: list[bool], page: int
) -> list[int]:
    """Return the column widths: those of the cells, reduced to fit the page.

    The widest columns are reduced first; numbers never break.
    """
    cells = [[row[i] for row in body] for i in range(len(heading))]
    longest = [max(map(_length, column), default=0) for column in cells]
    widths = [max(n, _length(name), 1) for n, name in zip(longest, heading, strict=True)]
    least = [
        max([*map(cell_len, name.split()), n if number else 1, 1])
        for name, n, number in zip(heading, longest, numeric, strict=True)
    ]
    while (over := sum(widths) + len(widths) + 1 - page) > 0:
        order = sorted((w, i) for i, w in enumerate(widths) if w > least[i])
        if not order:
            break
        width, widest = order[-1]
        next_one = max(order[-2][0] if len(order) > 1 else 1, least[widest])
        widths[widest] = max(width - over, min(next_one, width - 1))
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
    folded = [list(_fold(cell, width)) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*folded, fillvalue=""):
        padded = [
            side(part, width - cell_len(part) + len(part))
            for side, part, width in zip(sides, parts, widths, strict=True)
        ]
        yield f"{edge}{edge.join(padded)}{edge}"


def _fold(text: str, width: int) -> Iterator[str]:
    """Yield lines that fit a width, broken between words if possible."""
    for line in text.splitlines() or [""]:
        while cell_len(line) > width:
            part = chop_cells(line, width)[0]
            space = part.rfind(" ") if not line[len(part) :][:1].isspace() else len(part)
            part = part[:space] if space > 0 else part or line[0]
            yield part
            line = line[len(part) :].lstrip(" ")
        yield line

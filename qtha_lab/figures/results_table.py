"""Table of the results of a comparison, drawn with printed rules.

Takes rows of formatted text, as `qtha_lab.studies.comparison.rows` makes them. Computes no mean.
"""

import functools
from collections.abc import Mapping, Sequence

from qtha_lab.figures.machinery.canvas import Canvas
from qtha_lab.figures.machinery.figure import Figure, figure_function
from qtha_lab.figures.machinery.page_style import PageStyle
from qtha_lab.figures.machinery.parts import PlainFigure
from qtha_lab.figures.machinery.table import Table

CAPTION = (
    "Means over the seeds, with the smallest and largest value in brackets, which is no confidence "
    "interval. Each method ran at the learning rate given to it."
)
OMITTED = " On paper, columns that do not fit the page stand in the file of its numbers."
FEW = 4  # columns that fit a page
FIRST = (
    "method",
    "model",
    "task",
    "parameters",
    "test loss",
    "eval loss",
    "seeds",
    "s per step",
    "peak MiB",
    "train loss",
)
"""Columns by importance; the others follow."""


def _example() -> dict:
    rows = [
        (
            "lora(r=8)",
            "30,720",
            "3",
            "4.410",
            "4.122 [4.084–4.146]",
            "3.895 [3.844–3.946]",
            "0.099",
        ),
        (
            "qtha(r=4,waist=16,bond_dim=3)",
            "6,900",
            "3",
            "4.410",
            "4.236 [4.197–4.264]",
            "4.145 [4.085–4.244]",
            "0.163",
        ),
    ]
    titles = (
        "method",
        "parameters",
        "seeds",
        "eval loss, start",
        "eval loss",
        "train loss",
        "s per step",
    )
    return {"rows": [dict(zip(titles, row, strict=True)) for row in rows]}


@figure_function(example=_example)
def results_table(
    rows: Sequence[Mapping[str, str]],
    caption: str = CAPTION,
    best: str = "eval loss",
    theme: str = "light",
) -> Figure:
    """Draw one row per method; paper shows the most important columns that fit.

    Args:
        rows: Formatted text by column title; the first column is the method.
        caption: Caption of the table.
        best: Column whose smallest number the alt text states.
        theme: "light", "dark" or "page".

    Example:
        >>> rows = [{"method": "lora", "eval loss": "3.1"}, {"method": "qtha", "eval loss": "3.4"}]
        >>> results_table(rows).alt
        'Table of 2 methods: the smallest eval loss is 3.1 of lora.'
    """
    table = Table.of([dict(row) for row in rows])
    name = table.columns[0] if table.columns else "method"
    measured = [(value, row) for row in rows if (value := _number(row.get(best))) is not None]
    alt = f"Table of {len(rows)} methods."
    if measured:
        _, first = min(measured, key=lambda pair: pair[0])
        alt = f"{alt[:-1]}: the smallest {best} is {first[best]} of {first[name]}."
    if len(table.columns) > FEW:
        caption += OMITTED
    return Figure("results", functools.partial(_draw, table), caption, alt, table, theme)


def _number(text: str | None) -> float | None:
    try:
        return float((text or "").split()[0].replace(",", ""))
    except (ValueError, IndexError):
        return None


def _draw(table: Table, page_style: PageStyle) -> PlainFigure:
    """Draw methods as rows, or transpose the table where that avoids several blocks."""
    if not page_style.on_screen:
        table = _condensed(table, page_style)
    grid = [list(table.columns), *table.cells()]
    columns, blocks = _laid_out(grid, page_style, 0.42 * page_style.width)
    numeric = table.numeric()
    if len(blocks) > 2 and page_style.on_screen:
        transposed = [list(row) for row in zip(*grid, strict=True)]
        on_its_side, fewer = _laid_out(transposed, page_style, 8.5 * page_style.font)
        if len(fewer) == 1:
            columns, blocks, numeric = (
                on_its_side,
                fewer,
                [False] + [True] * (len(transposed[0]) - 1),
            )
    canvas = Canvas(page_style)
    y = 0.6 * page_style.font
    for block in blocks:
        y = _draw_block(canvas, [columns[i] for i in block], [numeric[i] for i in block], y)
    return canvas.figure(y)


def _condensed(table: Table, page_style: PageStyle) -> Table:
    """Return the columns that fit side by side on a page, the most important first."""
    first = [*table.columns[:1], *(name for name in FIRST if name in table.columns[1:])]
    chosen: list[str] = []
    for name in dict.fromkeys([*first, *table.columns]):
        part = _only(table, [*chosen, name])
        grid = [list(part.columns), *part.cells()]
        _, blocks = _laid_out(grid, page_style, 0.42 * page_style.width)
        if len(blocks) < 2 or len(chosen) < 2:
            chosen.append(name)
    return _only(table, chosen)


def _only(table: Table, names: Sequence[str]) -> Table:
    """Return some columns of a table, in the order of the table."""
    places = [place for place, name in enumerate(table.columns) if name in names]
    return Table(
        [table.columns[place] for place in places],
        [[row[place] for place in places] for row in table.rows],
    )


def _laid_out(
    grid: list[list[str]], page_style: PageStyle, first: float
) -> tuple[list[list[str]], list[list[int]]]:
    """Return the wrapped columns of a grid, and the blocks that fit the page."""
    columns = []
    for number, (title, *cells) in enumerate(zip(*grid, strict=True)):
        heading, widest = (
            (first, first) if number == 0 else (9 * page_style.font, 0.42 * page_style.width)
        )
        broken = [page_style.wrap(cell, widest).replace(" [", "<br>[") for cell in cells]
        columns.append([page_style.wrap(title, heading), *broken])
    return columns, _blocks(
        [max(map(page_style.text_width, column)) for column in columns], page_style
    )


def _blocks(widths: list[float], page_style: PageStyle) -> list[list[int]]:
    """Cut column numbers into blocks that fit the page, each led by the first column."""
    blocks: list[list[int]] = [[0]] if widths else []
    space, gap = page_style.width - page_style.font, 0.6 * page_style.font
    width_so_far = widths[0] if widths else 0.0
    for number, width in enumerate(widths[1:], start=1):
        if width_so_far + gap + width > space and len(blocks[-1]) > 1:
            blocks.append([0])
            width_so_far = widths[0]
        blocks[-1].append(number)
        width_so_far += gap + width
    return blocks


def _draw_block(canvas: Canvas, columns: list[list[str]], numeric: list[bool], y: float) -> float:
    """Draw columns downward from a height and return the height below them."""
    page_style = canvas.page_style
    widths = [max(map(page_style.text_width, column)) for column in columns]
    spare = max(0.0, page_style.width - page_style.font - sum(widths)) / max(1, len(columns) - 1)
    gap = min(spare, 3 * page_style.font)
    right = 0.5 * page_style.font + sum(widths) + gap * (len(columns) - 1)
    for number, cells in enumerate(zip(*columns, strict=True)):
        tall = (1.25 * max(cell.count("<br>") + 1 for cell in cells) + 0.4) * page_style.font
        if number < 2:
            canvas.stroke((0.5 * page_style.font, y), (right, y), 1.0 if number == 0 else 0.6)
        x = 0.5 * page_style.font
        for cell, width, is_number in zip(cells, widths, numeric, strict=True):
            at, side = (x + width, "middle left") if is_number else (x, "middle right")
            canvas.text((at, y + tall / 2), cell, side=side)
            x += width + gap
        y += tall
    canvas.stroke((0.5 * page_style.font, y), (right, y), 1.0)
    return y + 1.2 * page_style.font

"""HTML of the texts of panels; `style_sheet.css` arranges and colours it."""

import html
import re
from collections.abc import Iterable


def lines(sentences: Iterable[str]) -> str:
    """Return sentences as HTML, one per line."""
    return "<br>".join(map(html.escape, sentences))


def code(value: str) -> str:
    """Return preformatted text; Tab reaches it, so that keys can scroll it."""
    return f'<pre tabindex="0">{html.escape(value)}</pre>'


def html_table(rows: list[dict[str, str]]) -> str:
    """Return rows of formatted text as an HTML table; the first column names the row."""
    if not rows:
        return ""
    names = [breakable(name).replace("-", "\N{NON-BREAKING HYPHEN}") for name in rows[0]]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{_cells(*row.values())}</tr>" for row in rows)
    return scrolled(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>")


def scrolled(value: str) -> str:
    """Return HTML in a box that scrolls by keys, since Tab reaches it."""
    return f'<div class="qtha-scroll" tabindex="0">{value}</div>'


def transposed(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a table with its columns as rows, for a narrow place.

    Example:
        >>> transposed([{"method": "lora", "steps": "9"}, {"method": "qtha", "steps": "8"}])
        [{'method': 'steps', 'lora': '9', 'qtha': '8'}]
    """
    first, *names = rows[0] if rows else ("",)
    return [{first: name} | {row[first]: row[name] for row in rows} for name in names]


def _cells(name: str, *values: str) -> str:
    first = f'<th scope="row">{breakable(name)}</th>'
    return first + "".join(f"<td>{breakable(value)}</td>" for value in values)


def breakable(cell: str) -> str:
    """Escape text for a page, with a possible line break after commas in labels."""
    return re.sub(r",(?=[a-z])", ",<wbr>", html.escape(cell))

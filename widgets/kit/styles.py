"""The style sheet of every panel, for JupyterLab's light and dark themes, and HTML helpers."""

import html
import re
from collections.abc import Iterable
from pathlib import Path

import ipywidgets as ipw

from qtha_lab.core.io import read

CSS = read(Path(__file__).with_name("styles.css"))


def style_sheet() -> ipw.HTML:
    """Return the style sheet, for display once per panel; it takes no space."""
    return ipw.HTML(
        f"<style>{CSS}</style>", layout={"height": "0", "margin": "0", "overflow": "hidden"}
    )


def text(value: str = "", css: str = "", **layout) -> ipw.HTML:
    """Return a piece of HTML under a class of the style sheet."""
    piece = ipw.HTML(value, layout=layout)
    if css:
        piece.add_class(css)
    return piece


def heading(title: str) -> ipw.HTML:
    """Return the title of a part of a panel."""
    return text(f"<h3>{html.escape(title)}</h3>", "qtha-heading")


def column(*parts: ipw.Widget, css: str = "", **layout) -> ipw.VBox:
    """Return widgets one below the other."""
    box = ipw.VBox(parts, layout=layout)
    if css:
        box.add_class(css)
    return box


def row(*parts: ipw.Widget, css: str = "qtha-row", **layout) -> ipw.HBox:
    """Return widgets side by side, wrapped where the width is exceeded."""
    box = ipw.HBox(parts, layout=layout)
    box.add_class(css)
    return box


def mark(piece: ipw.DOMWidget, wrong: bool) -> None:
    """Show a piece as an error, or as normal text."""
    (piece.add_class if wrong else piece.remove_class)("qtha-wrong")


def lines(sentences: Iterable[str]) -> str:
    """Return sentences as HTML, one per line."""
    return "<br>".join(map(html.escape, sentences))


def code(value: str) -> str:
    """Return preformatted text; Tab reaches it, so that keys can scroll it."""
    return f'<pre tabindex="0">{html.escape(value)}</pre>'


def table(rows: list[dict[str, str]]) -> str:
    """Return rows of formatted text as an HTML table; the first column names the row."""
    if not rows:
        return ""
    names = [breakable(name).replace("-", "\N{NON-BREAKING HYPHEN}") for name in rows[0]]
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = "".join(f"<tr>{_cells(*row.values())}</tr>" for row in rows)
    whole = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="qtha-scroll" tabindex="0">{whole}</div>'


def _cells(name: str, *values: str) -> str:
    first = f'<th scope="row">{breakable(name)}</th>'
    return first + "".join(f"<td>{breakable(value)}</td>" for value in values)


def breakable(cell: str) -> str:
    """Escape text for a page, with a possible line break after commas in labels."""
    return re.sub(r",(?=[a-z])", ",<wbr>", html.escape(cell))

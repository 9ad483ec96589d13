"""The look of every panel: one style sheet that follows JupyterLab's light or dark theme, and small HTML pieces."""

import html
import re
from collections.abc import Iterable

import ipywidgets as ipw

CSS = """<style>
.qtha-form {display: grid; grid-template-columns: minmax(120px, max-content) 150px minmax(120px, 1fr);
  column-gap: 10px; row-gap: 3px; align-items: center; padding: 4px 2px;}
.qtha-form > *, .qtha-form .widget-vbox > * {margin: 0; width: auto; min-width: 0;}
.qtha-name {font-family: var(--jp-code-font-family); font-size: 12px; text-align: right;}
.qtha-said {color: var(--jp-ui-font-color2); font-size: 12px;}
.qtha-said .widget-html-content, .qtha-name .widget-html-content {line-height: 1.3; overflow-wrap: anywhere;}
.qtha-said.qtha-wrong {color: var(--jp-error-color0, #b00020); font-weight: 600;}
.qtha-head .widget-html-content {font-weight: 600; font-size: 14px; color: var(--jp-ui-font-color1);}
.qtha-banner .widget-html-content {padding: 6px 10px; border-radius: 4px; line-height: 1.4;
  border-left: 4px solid var(--jp-info-color1, #2e96d6); background: var(--jp-layout-color2);}
.qtha-banner.qtha-wrong .widget-html-content {border-left-color: var(--jp-error-color1, #d32f2f); font-weight: 600;}
.qtha-table table {border-collapse: collapse; font-size: 12px; width: auto; margin: 0;}
.qtha-table th, .qtha-table td {padding: 3px 8px; text-align: right; border-bottom: 1px solid var(--jp-border-color2);}
.qtha-table th {font-weight: 600; vertical-align: bottom; line-height: 1.2;}
.qtha-table td {white-space: nowrap;}
.qtha-table th:first-child, .qtha-table td:first-child {text-align: left;}
.qtha-table td:first-child {white-space: normal; min-width: 90px; overflow-wrap: anywhere;}
.qtha-table .widget-html-content {line-height: 1.4; overflow-x: auto;}
.qtha-code pre {font-family: var(--jp-code-font-family); font-size: 12px; line-height: 1.35; margin: 0; padding: 6px;
  background: var(--jp-layout-color2); color: var(--jp-ui-font-color1); overflow-x: auto; white-space: pre;}
.qtha-row {align-items: center; flex-flow: row wrap; column-gap: 8px;}
.qtha-top {flex-flow: row wrap; gap: 8px 24px;}
.qtha-stale {opacity: 0.5;}
.qtha-run {min-width: 0; overflow: hidden;}
.qtha-run .widget-html-content {overflow: hidden; text-overflow: ellipsis; white-space: nowrap;}
.qtha-plot .main-svg text {fill: var(--jp-ui-font-color1) !important;}
</style>"""


def style_sheet() -> ipw.HTML:
    """To be shown once in each panel; takes no room."""
    return ipw.HTML(CSS, layout={"height": "0", "margin": "0", "overflow": "hidden"})


def text(value: str = "", css: str = "", **layout) -> ipw.HTML:
    """A piece of HTML under a class of the style sheet."""
    piece = ipw.HTML(value, layout=layout)
    if css:
        piece.add_class(css)
    return piece


def column(*parts: ipw.Widget, css: str = "", **layout) -> ipw.VBox:
    """Parts one below the other."""
    box = ipw.VBox(parts, layout=layout)
    if css:
        box.add_class(css)
    return box


def row(*parts: ipw.Widget, css: str = "qtha-row", **layout) -> ipw.HBox:
    """Parts side by side, going on below where there is no room."""
    box = ipw.HBox(parts, layout=layout)
    box.add_class(css)
    return box


def mark(piece: ipw.Widget, wrong: bool) -> None:
    """Show a piece as an error, or as an ordinary word."""
    (piece.add_class if wrong else piece.remove_class)("qtha-wrong")


def lines(sentences: Iterable[str]) -> str:
    """Sentences, each on a line of its own."""
    return "<br>".join(map(html.escape, sentences))


def code(value: str) -> str:
    """Text to be shown letter by letter."""
    return f"<pre>{html.escape(value)}</pre>"


def table(rows: list[dict[str, str]]) -> str:
    """Rows of ready-made text as an HTML table; the first column names the row."""
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_breakable(cell)}</td>" for cell in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _breakable(cell: str) -> str:
    """A label with many options may go on in the next line after any comma between them."""
    return re.sub(r",(?=[a-z])", ",<wbr>", html.escape(cell))

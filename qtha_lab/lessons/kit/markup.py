"""Pages of the kit: Markdown to HTML, templates, and PDF by the browser.

No page needs a network: formulas become MathML, and scripts and pictures stand in the page.
"""

import base64
import functools
import html
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.core.io import make_folder, scratch_folder, staged, write_atomically
from qtha_lab.core.libraries import require_extra
from qtha_lab.figures.machinery.export import HOW_TO, PATIENCE_SECONDS, NoBrowserError, find_browser
from qtha_lab.lessons.kit.lesson_page import LessonCell

if TYPE_CHECKING:
    from jinja2 import Environment

FORMULA = re.compile(r"\$\$(?P<display>.+?)\$\$|\$(?P<inline>[^$\n]+?)\$", re.DOTALL)
KEPT = re.compile(r"(<pre.*?</pre>|<code.*?</code>|<h\d[^>]*>)", re.DOTALL)  # hold no formula
LINK = re.compile(r'<a href="[^":]*\.ipynb[^"]*">(.*?)</a>', re.DOTALL)
ANCHOR = re.compile(r'<a class="anchor-link".*?</a>')
NEEDED = ("nbconvert", "latex2mathml", "segno", "sphinx_revealjs")


def require_kit() -> None:
    """Refuse pages of the kit where the packages of the extra `course` are not installed."""
    require_extra("course", "The course kit", *NEEDED)


def to_html(markdown: str) -> str:
    """Return Markdown as HTML with MathML; links to notebooks become plain text.

    Example:
        >>> to_html("**$x$**")[:11]
        '<p><strong>'
    """
    from nbconvert.filters import markdown2html

    text = LINK.sub(r"\1", ANCHOR.sub("", markdown2html(markdown)))
    parts = KEPT.split(text)
    return "".join(p if i % 2 else FORMULA.sub(_mathml, p) for i, p in enumerate(parts)).strip()


def _mathml(formula: re.Match) -> str:
    from latex2mathml.converter import convert

    text = html.unescape(formula["display"] or formula["inline"])
    return convert(text, display="block" if formula["display"] else "inline")


@functools.cache
def templates() -> "Environment":
    """Return the environment of the templates, with the filter `md` for Markdown."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    loader = PackageLoader("qtha_lab.lessons.kit")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["md"] = lambda text: Markup(to_html(text))
    return environment


def write_page(file: Path, template: str, **values: Any) -> Path:
    """Write a template with its values as a page.

    Args:
        file: HTML file; its folder is created.
        template: Name of the template, without suffix.
        values: Values of the template.
    """
    require_kit()
    make_folder(file.parent)
    write_atomically(file, templates().get_template(f"{template}.html.j2").render(values))
    return file


def write_pdf(page: Path, file: Path) -> Path:
    """Print a page to a PDF file.

    Raises:
        NoBrowserError: If there is no browser, or it writes nothing.
    """
    browser = find_browser()
    if browser is None:
        raise NoBrowserError(f"A PDF must have a browser, got none: {HOW_TO}")
    address = page.resolve().as_uri()
    with staged(file) as new, scratch_folder(ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", "--disable-gpu", "--no-pdf-header-footer", "--no-first-run"]
        options += [f"--user-data-dir={profile}", "--virtual-time-budget=20000"]
        if sys.platform != "win32" and os.geteuid() == 0:
            options.append("--no-sandbox")
        command = [browser, *options, f"--print-to-pdf={new.resolve()}", address]
        try:
            subprocess.run(command, capture_output=True, timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            raise NoBrowserError(
                f"{browser} must print {page.name}, got no file: {HOW_TO}"
            ) from None
        if not new.is_file():
            raise NoBrowserError(f"{browser} must print {page.name}, got no file: {HOW_TO}")
    return file


START = 20  # characters of a text that tell if a drawing contains it
DRAWN = re.compile(r"<img [^>]*>|<svg.*</svg>", re.DOTALL)
EMBEDDED = re.compile(r'src="data:image/svg\+xml;base64,([^"]+)"')


class CellPicture(NamedTuple):
    """A drawing as an HTML image, its alternative text, and a note below it."""

    html: str
    text: str
    note: str


def pictures(cell: LessonCell) -> list[CellPicture]:
    """Return the drawings among the outputs of a cell, in order."""
    drawn = (_picture(output.get("data", {})) for output in cell.outputs)
    return [picture for picture in drawn if picture is not None]


def _picture(data: Mapping[str, Any]) -> CellPicture | None:
    text = "".join(data.get("text/plain", ""))
    if "image/svg+xml" in data:
        drawing = "".join(data["image/svg+xml"])
        content = base64.b64encode(drawing.encode()).decode()
        return CellPicture(_image("svg+xml", content, text), text, _note(text, drawing))
    if "image/png" in data:
        content = "".join(data["image/png"]).replace("\n", "")
        return CellPicture(_image("png", content, text), text, text)
    found = DRAWN.search("".join(data.get("text/html", "")))
    if found is None:
        return None
    embedded = EMBEDDED.search(found[0])
    drawing = base64.b64decode(embedded[1]).decode() if embedded else found[0]
    return CellPicture(found[0], text, _note(text, drawing))


def _note(text: str, drawing: str) -> str:
    """Return the text of a drawing; empty if the drawing contains it."""
    return "" if html.escape(text[:START], quote=False) in drawing else text


def _image(kind: str, content: str, text: str) -> str:
    source = f"data:image/{kind};base64,{content}"
    return f'<img alt="{html.escape(text, quote=True)}" src="{source}">'

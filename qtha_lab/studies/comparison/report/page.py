"""Report as a self-contained HTML page with embedded figures and styles."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from qtha_lab.figures.machinery import labels
from qtha_lab.figures.machinery import static_svg as still
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.machinery.page_style import PageStyle

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.report.section import Section


def page(title: str, sections: Sequence[Section], written_by: str) -> str:
    """Return the whole page as HTML.

    Args:
        title: Heading of the page.
        sections: Sections in order.
        written_by: Text of the footer that names the software.
    """
    template = _templates().get_template("page.html")
    return template.render(title=title, sections=sections, written_by=written_by)


def fragment(section: Section) -> str:
    """Return one section as HTML without the page around it."""
    return _templates().get_template("section.html").render(section=section)


@functools.cache
def _templates() -> Environment:
    loader = PackageLoader("qtha_lab.studies.comparison.report")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(picture=picture, heading=labels.axis)
    environment.filters.update(prose=prose, as_file=_as_file)
    return environment


def prose(text: str) -> Markup:
    """Mark code in backticks, and allow line breaks after commas in method labels.

    Example:
        >>> prose("`rounding: 5` of qtha(r=4,waist=16)")
        Markup('<code>rounding: 5</code> of qtha(r=4,<wbr>waist=16)')
    """
    words = re.sub(r",(?=[a-z])", ",<wbr>", str(escape(text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", words))


def _as_file(text: str) -> str:
    return f"data:text/plain;charset=utf-8,{quote(text)}"


def picture(figure: Figure, section: Section) -> Markup:
    """Return a figure as SVG with short method names; its finding is the title."""
    page_style = PageStyle("page", names=tuple(section.names.items()))
    return Markup(still.svg(figure.drawing(page_style), figure.alt, below=False))

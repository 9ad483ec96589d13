"""Finding on compared runs: sentences, figures, tables and listings under a title.

`findings` lists all findings. The templates define the layout of a page of them.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from qtha_lab.core.method_styles import shown

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.figures.machinery.table import Table


class CodeListing(NamedTuple):
    """Text to copy, with a caption and a file name for export."""

    caption: str
    text: str
    file: str = ""


@dataclass(frozen=True)
class Finding:
    """Finding that displays as HTML in Jupyter.

    Attributes:
        sentences: Sentences, including reasons for missing figures.
        figures: Figures of the finding.
        tables: Tables by caption.
        listings: Texts to copy.
        names: Method names in the figures, by label.
        parts: Findings on a part of the runs, displayed below with a lower heading level.
        left_out: Reasons for figures of single methods that cannot be drawn.
        name: Name in the list of findings.
        title: Heading.
    """

    sentences: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    listings: Sequence[CodeListing] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Finding] = ()
    left_out: Sequence[str] = ()
    name: str = ""
    title: str = ""

    def plain(self) -> dict[str, Any]:
        """Return the finding as data; figures become their findings and numbers."""
        figures = [
            {
                "name": figure.name,
                "title": figure.title,
                "finding": figure.alt,
                "caption": figure.caption,
                **_plain(figure.table),
            }
            for figure in self.figures
        ]
        parts = {"parts": [part.plain() for part in self.parts]} if self.parts else {}
        return {
            "name": self.name,
            "title": self.title,
            "sentences": [*self.sentences],
            "figures": figures,
            "tables": [{"caption": c, **_plain(table)} for c, table in self.tables.items()],
            "listings": [listing._asdict() for listing in self.listings],
            **parts,
        }

    def _repr_html_(self) -> str:
        return _templates().get_template("finding.html").render(finding=self)


def _plain(table: Table) -> dict[str, Any]:
    return {"columns": [*table.columns], "rows": [[*row] for row in table.rows]}


def as_page(title: str, findings: Sequence[Finding], written_by: str) -> str:
    """Return a self-contained HTML page of findings."""
    template = _templates().get_template("page.html")
    return template.render(title=title, findings=findings, written_by=written_by)


@functools.cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from qtha_lab.figures.machinery import labels

    environment = Environment(
        loader=PackageLoader("qtha_lab.studies.comparison"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(picture=_picture, heading=labels.axis)
    environment.filters.update(prose=prose, as_file=_as_file)
    return environment


def prose(text: str) -> Markup:
    """Mark code in backticks, and allow line breaks after commas in method labels.

    Example:
        >>> prose("`rounding: 5` of qtha(r=4,waist=16)")
        Markup('<code>rounding: 5</code> of qtha(r=4,<wbr>waist=16)')
    """
    from markupsafe import Markup, escape

    words = re.sub(r",(?=[a-z])", ",<wbr>", str(escape(text)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", words))


def _as_file(text: str) -> str:
    return f"data:text/plain;charset=utf-8,{quote(text)}"


def _picture(figure: Figure, finding: Finding) -> Markup:
    """Return a figure as SVG with short method names; its finding is the title."""
    from markupsafe import Markup

    from qtha_lab.figures.machinery import static_svg
    from qtha_lab.figures.machinery.page_style import PageStyle

    page_style = PageStyle("page", names=tuple(finding.names.items()))
    return Markup(static_svg.svg(figure.drawing(page_style), figure.alt, below=False))


def drawn_seeds(seeds: Mapping[str, tuple[int, int]]) -> str:
    """State the drawn seed of each method; "" if every method has one seed.

    Example:
        >>> drawn_seeds({"lora": (10, 20), "qtha": (10, 20)}), drawn_seeds({"lora": (0, 1)})
        ('Drawn is seed 10 of 20 seeds.', '')
        >>> drawn_seeds({"lora": (0, 3), "qtha": (1, 3)})
        'Drawn are lora: seed 0 of 3 seeds; qtha: seed 1 of 3 seeds.'
    """
    if all(count < 2 for _, count in seeds.values()):
        return ""
    words = {name: f"seed {seed} of {count} seeds" for name, (seed, count) in seeds.items()}
    if len(set(words.values())) == 1:
        return f"Drawn is {next(iter(words.values()))}."
    return f"Drawn are {'; '.join(f'{shown(name)}: {of}' for name, of in words.items())}."


def noted(figure: Figure, sentence: str) -> Figure:
    """Add a sentence to the caption of a figure."""
    return replace(figure, caption=f"{figure.caption} {sentence}") if sentence else figure

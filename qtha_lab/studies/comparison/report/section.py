"""Section of a report: sentences, figures, tables and listings under a heading.

Has the content only; the page defines the layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.figures.machinery.table import Table


class CodeListing(NamedTuple):
    """Text to copy, with a caption and a file name for export."""

    caption: str
    text: str
    file: str = ""


@dataclass(frozen=True)
class Section:
    """Part of a report that displays as HTML in Jupyter.

    Attributes:
        name: Key of the section in the report.
        title: Heading of the section.
        sentences: Introductory sentences, including reasons for missing figures.
        figures: Figures of the section.
        tables: Tables by caption.
        listings: Texts to copy.
        names: Method names in the figures, by label.
        parts: Subsections, displayed after the rest with a lower heading level.
    """

    name: str
    title: str
    sentences: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    listings: Sequence[CodeListing] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Section] = ()

    def plain(self) -> dict[str, Any]:
        """Return the section as data; figures become their findings and numbers."""
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
        from qtha_lab.studies.comparison.report.page import fragment

        return fragment(self)


def _plain(table: Table) -> dict[str, Any]:
    return {"columns": [*table.columns], "rows": [[*row] for row in table.rows]}

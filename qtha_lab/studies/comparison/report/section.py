"""A section of a report: sentences, figures, tables and listings under a heading.

Holds what is said; how it looks is the page's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.figures.machinery.table import Table


class Listing(NamedTuple):
    """Text to be copied, under a caption, and the file that it would be saved as."""

    caption: str
    text: str
    file: str = ""


@dataclass(frozen=True)
class Section:
    """A part of a report; shows itself in Jupyter.

    Attributes:
        name: By which a report finds it.
        title: Its heading.
        sentences: What is said first; where something could not be drawn, why.
        figures: What is drawn.
        tables: Tables by their captions.
        listings: Texts to be copied.
        names: What methods are called in its figures, by label.
        parts: Sections inside it, a heading lower, after the rest.
    """

    name: str
    title: str
    sentences: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    listings: Sequence[Listing] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    parts: Sequence[Section] = ()

    def plain(self) -> dict[str, Any]:
        """The section as data: its figures as their findings and numbers."""
        figures = [
            {
                "name": figure.name, "title": figure.title, "finding": figure.alt, "caption": figure.caption,
                **_plain(figure.table),
            }
            for figure in self.figures
        ]  # fmt: skip
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

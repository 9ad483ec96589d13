"""The report of a comparison: its sections in their order, and the three files that they are written to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.run_directory import write_atomically, write_json
from qtha_lab.studies.comparison.report.section import Section
from qtha_lab.studies.comparison.shared_names import renamed

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.report.contents import Compared


@dataclass(frozen=True)
class Report:
    """What a comparison shows.

    Attributes:
        title: Its heading.
        folder: What `compare` wrote.
        sections: In the order of the page.
        data: The differences, the parts and the notes as in `summary.json`, and what repeats the
            comparison.

    Example:
        >>> report = Report.of("out/tiny")  # doctest: +SKIP
        >>> report["verdicts"].sentences[0]  # doctest: +SKIP
        'qtha − lora, test loss: +0.100 nat, 95 % interval [+0.064, +0.136] over 3 seeds, p = 0.25, d = +10.0: shown (rounding not measured).'
    """

    title: str
    folder: Path
    sections: tuple[Section, ...]
    data: dict[str, Any]

    @classmethod
    def of(cls, folder: Path | str) -> Report:
        """The report of the comparison in a folder.

        Raises:
            Refusal: If the folder holds no comparison, or one of which no run has ended.
        """
        # here, since a list of runs needs no library of numbers
        from qtha_lab.studies.comparison.report import pooled as across
        from qtha_lab.studies.comparison.report import sections as of
        from qtha_lab.studies.comparison.report.contents import Compared
        from qtha_lab.studies.comparison.report.protocol import command, measured

        compared = Compared.of(folder)
        cells = compared.cells
        title = _title(compared)
        if len(cells) < 2:
            makers = (of.verdicts, *of.OF_A_CELL, measured)
            sections = [maker(compared) for maker in makers]
        else:
            parts = [
                across.cell(compared.of_cell(cell), number) for number, cell in enumerate(cells, 1)
            ]
            sections = [
                across.verdicts(compared),
                across.across(compared),
                *parts,
                measured(compared),
            ]
        data = {
            "claims": compared.claims, "decomposition": compared.parts, "notes": compared.summary["notes"],
            "lineup": compared.summary.get("lineup") or [],
            "command": command(compared), "yaml": compared.yaml,
        }  # fmt: skip
        return cls(title, Path(folder), tuple(sections), data)

    def __getitem__(self, name: str) -> Section:
        """A section by its name."""
        by_name = {section.name: section for section in self.sections}
        if name not in by_name:
            raise unknown("section", name, by_name)
        return by_name[name]

    def html(self) -> str:
        """The page, which stands alone."""
        from qtha_lab.figures.machinery.provenance import Origin
        from qtha_lab.studies.comparison.report.page import page

        return page(self.title, self.sections, f"Written with {Origin().words()['versions']}.")

    def plain(self) -> dict[str, Any]:
        """Everything that the page says, as data."""
        sections = [section.plain() for section in self.sections]
        return {"title": self.title, "sections": sections, **self.data}

    def write(self, out: Path | str) -> list[Path]:
        """Write `report.html`, `report.json` and `report.ipynb`.

        Args:
            out: The folder to write to, made if it is not there.

        Returns:
            The three files.

        Raises:
            Refusal: If a file stands in its place.
        """
        from qtha_lab.studies.comparison.report.notebook import notebook

        out = Path(out)
        if out.exists() and not out.is_dir():
            raise Refusal(f"{out} is a file: give a folder to write the report to")
        out.mkdir(parents=True, exist_ok=True)
        files = [out / f"report.{ending}" for ending in ("html", "json", "ipynb")]
        write_atomically(files[0], self.html())
        write_json(files[1], self.plain())
        from_there = os.path.relpath(self.folder.resolve(), out.resolve())
        write_atomically(files[2], notebook(self.title, self.sections, from_there))
        return files


def _title(compared: Compared) -> str:
    """How many methods, and on what."""
    count, cells = len(compared.comparison.methods), compared.cells
    methods = "1 method" if count == 1 else f"{count} methods"
    if len(cells) < 2:
        return f"{methods} on {renamed(str(compared.comparison.cells[0]), compared.places)}"
    models, tasks = (
        dict.fromkeys(names)
        for names in zip(*((c.model, c.task_with_options) for c in cells), strict=True)
    )
    return f"{methods} on {', '.join(models)} with {', '.join(tasks)}"


def report(folder: Path | str, out: Path | str | None = None) -> Report:
    """Write the report of the comparison in a folder: a page, data, and a notebook that makes it again.

    Args:
        folder: What `compare` wrote.
        out: Where `report.html`, `report.json` and `report.ipynb` go; None is the same folder.

    Returns:
        The report.

    Raises:
        Refusal: If the folder holds no comparison, or one of which no run has ended.

    Example:
        >>> report("out/tiny").title  # doctest: +SKIP
        '2 methods on tiny, qa'
    """
    whole = Report.of(folder)
    whole.write(folder if out is None else out)
    return whole

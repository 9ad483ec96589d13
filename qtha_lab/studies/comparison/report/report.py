"""Report of a comparison: ordered sections, written to three files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically, write_json
from qtha_lab.core.settings import unknown
from qtha_lab.studies.comparison.report.section import Section
from qtha_lab.studies.comparison.shared_names import renamed

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.report.contents import Compared


@dataclass(frozen=True)
class Report:
    """Report on the results of a comparison.

    Attributes:
        title: Heading of the report.
        folder: Folder that `compare` wrote.
        sections: Sections in the order of the page.
        data: Differences, effects of parts and notes as in `summary.json`, and the command and
            file that repeat the comparison.

    Example:
        >>> report = Report.of("out/tiny")  # doctest: +SKIP
        >>> report["verdicts"].sentences[0]  # doctest: +SKIP
        'qtha − lora, test loss: +0.100 nat, 95 % interval [+0.064, +0.136] over 3 seeds, … shown.'
    """

    title: str
    folder: Path
    sections: tuple[Section, ...]
    data: dict[str, Any]

    @classmethod
    def of(cls, folder: Path | str) -> Report:
        """Build the report of the comparison in a folder.

        Raises:
            Refusal: If the folder has no comparison, or no run of it has ended.
        """
        # imported here, since lists of runs do not need NumPy and SciPy
        from qtha_lab.studies.comparison.report import pooled as across
        from qtha_lab.studies.comparison.report import sections as of
        from qtha_lab.studies.comparison.report.contents import Compared
        from qtha_lab.studies.comparison.report.protocol import command, measured

        compared = Compared.of(folder)
        model_tasks = compared.model_tasks
        title = _title(compared)
        if len(model_tasks) < 2:
            makers = (of.verdict_section, *of.OF_MODEL_TASK, measured)
            sections = [maker(compared) for maker in makers]
        else:
            parts = [
                across.model_task(compared.of_model_task(model_task), number)
                for number, model_task in enumerate(model_tasks, 1)
            ]
            sections = [
                across.pooled_verdicts(compared),
                across.across(compared),
                *parts,
                measured(compared),
            ]
        data = {
            "claims": compared.claims,
            "decomposition": compared.parts,
            "notes": compared.summary["notes"],
            "contenders": compared.summary.get("contenders") or [],
            "command": command(compared),
            "yaml": compared.yaml,
        }
        return cls(title, Path(folder), tuple(sections), data)

    def __getitem__(self, name: str) -> Section:
        """Return a section by name."""
        by_name = {section.name: section for section in self.sections}
        if name not in by_name:
            raise unknown("section", name, by_name)
        return by_name[name]

    def html(self) -> str:
        """Return the self-contained HTML page."""
        from qtha_lab.figures.machinery.provenance import Provenance
        from qtha_lab.studies.comparison.report.page import page

        return page(self.title, self.sections, f"Written with {Provenance().words()['versions']}.")

    def plain(self) -> dict[str, Any]:
        """Return the content of the page as data."""
        sections = [section.plain() for section in self.sections]
        return {"title": self.title, "sections": sections, **self.data}

    def write(self, out: Path | str) -> list[Path]:
        """Write `report.html`, `report.json` and `report.ipynb`.

        Args:
            out: Folder to write to; created if missing.

        Returns:
            Paths of the three files.

        Raises:
            Refusal: If `out` is a file.
        """
        from qtha_lab.studies.comparison.report.notebook import notebook

        out = Path(out)
        if out.exists() and not out.is_dir():
            raise Refusal(f"out must be a folder, got the file {out}.")
        make_folder(out)
        files = [out / f"report.{ending}" for ending in ("html", "json", "ipynb")]
        write_atomically(files[0], self.html())
        write_json(files[1], self.plain())
        from_there = os.path.relpath(self.folder.resolve(), out.resolve())
        write_atomically(files[2], notebook(self.title, self.sections, from_there))
        return files


def _title(compared: Compared) -> str:
    """Return the number of methods with the models and tasks."""
    count, model_tasks = len(compared.comparison.methods), compared.model_tasks
    methods = "1 method" if count == 1 else f"{count} methods"
    if len(model_tasks) < 2:
        return f"{methods} on {renamed(str(compared.comparison.model_tasks[0]), compared.places)}"
    models, tasks = (
        dict.fromkeys(names)
        for names in zip(*((c.model, c.task_with_options) for c in model_tasks), strict=True)
    )
    return f"{methods} on {', '.join(models)} with {', '.join(tasks)}"


def report(folder: Path | str, out: Path | str | None = None) -> Report:
    """Write the report of a comparison as page, data and notebook.

    Args:
        folder: Folder that `compare` wrote.
        out: Folder of `report.html`, `report.json` and `report.ipynb`; None is the same folder.

    Returns:
        The report.

    Raises:
        Refusal: If the folder has no comparison, or no run of it has ended.

    Example:
        >>> report("out/tiny").title  # doctest: +SKIP
        '2 methods on tiny, qa'
    """
    whole = Report.of(folder)
    whole.write(folder if out is None else out)
    return whole

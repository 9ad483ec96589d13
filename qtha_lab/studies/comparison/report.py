"""Report of a comparison as an HTML page, as data and as a notebook.

Shows the list of findings on the files that `compare` wrote; runs no experiment.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, write_atomically, write_json
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.serialisation import code, markdown, notebook_text
from qtha_lab.studies.comparison.finding import Finding, as_page
from qtha_lab.studies.comparison.found_runs import renamed

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.compared import Compared


@dataclass(frozen=True)
class Report:
    """Report on the results of a comparison.

    Attributes:
        title: Heading of the report.
        folder: Folder that `compare` wrote.
        findings: Findings in the order of the page.
        data: Differences, effects of parts and notes as in `summary.json`, and the command and
            file that repeat the comparison.

    Example:
        >>> report = Report.of("out/tiny")  # doctest: +SKIP
        >>> report["verdicts"].sentences[0]  # doctest: +SKIP
        'qtha − lora, test loss: +0.100 nat, 95 % interval [+0.064, +0.136] over 3 seeds, … shown.'
    """

    title: str
    folder: Path
    findings: tuple[Finding, ...]
    data: dict[str, Any]

    @classmethod
    def of(cls, folder: Path | str) -> Report:
        """Build the report of the comparison in a folder.

        Raises:
            Refusal: If the folder has no comparison, or no run of it has ended.
        """
        # imported here, since lists of runs do not need NumPy and SciPy
        from qtha_lab.studies.comparison.compared import Compared
        from qtha_lab.studies.comparison.findings import reported
        from qtha_lab.studies.comparison.measured import command

        compared = Compared.of(folder)
        data = {
            "claims": compared.claims,
            "controls": compared.controls,
            "decomposition": compared.parts,
            "notes": compared.summary["notes"],
            "contenders": compared.summary.get("contenders") or [],
            "command": command(compared),
            "yaml": compared.yaml,
        }
        return cls(_title(compared), Path(folder), tuple(reported(compared)), data)

    def __getitem__(self, name: str) -> Finding:
        """Return a finding by name."""
        by_name = {finding.name: finding for finding in self.findings}
        if name not in by_name:
            raise unknown("section", name, by_name)
        return by_name[name]

    def html(self) -> str:
        """Return the self-contained HTML page."""
        from qtha_lab.figures.machinery.provenance import Provenance

        written_by = f"Written with {Provenance().words()['versions']}."
        return as_page(self.title, self.findings, written_by)

    def plain(self) -> dict[str, Any]:
        """Return the content of the page as data."""
        sections = [finding.plain() for finding in self.findings]
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
        out = Path(out)
        if out.exists() and not out.is_dir():
            raise Refusal(f"out must be a folder, got the file {out}.")
        make_folder(out)
        files = [out / f"report.{ending}" for ending in ("html", "json", "ipynb")]
        write_atomically(files[0], self.html())
        write_json(files[1], self.plain())
        from_there = os.path.relpath(self.folder.resolve(), out.resolve())
        write_atomically(files[2], _notebook(self.title, self.findings, from_there))
        return files


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


def _notebook(title: str, findings: Sequence[Finding], folder: str) -> str:
    """Return a notebook that rebuilds the report, one cell per finding, without outputs."""
    head = (
        f"# {title}\n\nThe report beside this notebook, made again from the runs. A section shows"
        " itself; `report[name].figures` are its figures, which show themselves with their numbers"
        " under the mouse, and `figure.export(...)` writes one for a paper."
    )
    load = "from qtha_lab.studies.comparison import Report\n\nreport = Report.of(folder)"
    sources = [load, *(f'report["{finding.name}"]' for finding in findings)]
    foot = "The page again, with whatever runs have ended since:"
    again = (
        'from pathlib import Path\n\nPath("report.html").write_text(report.html(),'
        ' encoding="utf-8")'
    )
    cells = [markdown(head), code(f"folder = {folder!r}", "parameters"), *map(code, sources)]
    return notebook_text([*cells, markdown(foot), code(again)])

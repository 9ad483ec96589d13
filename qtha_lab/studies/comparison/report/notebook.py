"""Notebook that rebuilds a report from its comparison folder, one cell per section."""

from __future__ import annotations

from collections.abc import Sequence

from qtha_lab.core.notebook_format import code, markdown, notebook_text
from qtha_lab.studies.comparison.report.section import Section


def notebook(title: str, sections: Sequence[Section], folder: str) -> str:
    """Return the text of the notebook file, without outputs.

    Args:
        title: Title of the report.
        sections: Sections of the report, in order.
        folder: Path from the notebook to the folder that `compare` wrote.
    """
    head = (
        f"# {title}\n\nThe report beside this notebook, made again from the runs. A section shows"
        " itself; `report[name].figures` are its figures, which show themselves with their numbers"
        " under the mouse, and `figure.export(...)` writes one for a paper."
    )
    load = "from qtha_lab.studies.comparison import Report\n\nreport = Report.of(folder)"
    sources = [load, *(f'report["{section.name}"]' for section in sections)]
    foot = "The page again, with whatever runs have ended since:"
    again = (
        'from pathlib import Path\n\nPath("report.html").write_text(report.html(),'
        ' encoding="utf-8")'
    )
    cells = [markdown(head), code(f"folder = {folder!r}", "parameters"), *map(code, sources)]
    return notebook_text([*cells, markdown(foot), code(again)])

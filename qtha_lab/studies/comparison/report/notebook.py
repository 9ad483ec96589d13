"""Notebook that rebuilds a report from its comparison folder, one cell per section."""

from __future__ import annotations

from collections.abc import Sequence

from qtha_lab.studies.comparison.report.section import Section


def notebook(title: str, sections: Sequence[Section], folder: str) -> str:
    """Return the text of the notebook file, without outputs.

    Args:
        title: Title of the report.
        sections: Sections of the report, in order.
        folder: Path from the notebook to the folder that `compare` wrote.
    """
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    head = (
        f"# {title}\n\nThe report beside this notebook, made again from the runs. A section shows itself; "
        "`report[name].figures` are its figures, which show themselves with their numbers under the mouse, and "
        "`figure.export(...)` writes one for a paper."
    )
    sources = [
        f"folder = {folder!r}",
        "from qtha_lab.studies.comparison import Report\n\nreport = Report.of(folder)",
    ]
    sources += [f'report["{section.name}"]' for section in sections]
    foot = "The page again, with whatever runs have ended since:"
    again = 'from pathlib import Path\n\nPath("report.html").write_text(report.html(), encoding="utf-8")'
    cells = [new_markdown_cell(head), *map(new_code_cell, sources)]
    cells += [new_markdown_cell(foot), new_code_cell(again)]
    cells[1].metadata["tags"] = ["parameters"]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})) + "\n"

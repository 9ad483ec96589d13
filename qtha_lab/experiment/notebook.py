"""Conversion of a description to a notebook that runs it and shows the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.experiment import serialisation as equivalents

if TYPE_CHECKING:
    from pydantic import BaseModel

# Notebook cells that follow the Python code of each kind of description.
_RESULTS = {
    "Experiment": (
        "run.wait()",
        "from qtha_lab.widgets import LivePlot\n\nLivePlot([run]).panel",
        "run.summary()",
    ),
    "Comparison": (
        'import pandas as pd\n\npd.DataFrame(compare.rows(summary)).set_index("method").T',
        'print(*summary["notes"], sep="\\n")',
    ),
    "Sweep": ("trials.wait()", "trials.table()", "trials.best()"),
}


def to_notebook(description: BaseModel) -> str:
    """Generate the notebook text without outputs."""
    import nbformat
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    kind = type(description).__name__
    command = equivalents.to_command(description)
    head = f"# {kind} repeated\n\nRun All does what this does in a shell:\n\n```sh\n{command}\n```"
    sources = [equivalents.to_python(description).rstrip(), *_RESULTS[kind]]
    cells = [new_markdown_cell(head), *map(new_code_cell, sources)]
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    return nbformat.writes(new_notebook(cells=cells, metadata={"kernelspec": kernel})) + "\n"

"""Conversion of a description to a notebook that runs it and shows the results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.core.notebook_format import code, markdown, notebook_text
from qtha_lab.experiment import serialisation as equivalents

if TYPE_CHECKING:
    from pydantic import BaseModel

# Notebook cells that follow the Python code of each kind of description.
_RESULTS = {
    "Experiment": (
        "run.wait()",
        "from qtha_lab.widgets import LivePlot\n\nLivePlot([run]).panel",
        "run.summary",
    ),
    "Comparison": (
        'import pandas as pd\n\npd.DataFrame(compare.rows(summary)).set_index("method").T',
        'print(*summary["notes"], sep="\\n")',
    ),
    "Sweep": ("trials.wait()", "trials.table()", "trials.best()"),
}


def to_notebook(description: BaseModel) -> str:
    """Generate the notebook text without outputs."""
    kind = type(description).__name__
    command = equivalents.to_command(description)
    head = f"# {kind} repeated\n\nRun All does what this does in a shell:\n\n```sh\n{command}\n```"
    sources = [equivalents.to_python(description).rstrip(), *_RESULTS[kind]]
    return notebook_text([markdown(head), *map(code, sources)])

"""What repeats a run elsewhere: its experiment as YAML, Python or a notebook."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run


def write_yaml(run: "Run", file: Path) -> str:
    """The experiment's file."""
    file.write_text(run.experiment.to_yaml(), encoding="utf-8")
    return f"qtha-lab run {file.name} repeats it"


def write_python(run: "Run", file: Path) -> str:
    """The experiment's code."""
    file.write_text(run.experiment.to_python(), encoding="utf-8")
    return f"python {file.name} repeats it"


def write_notebook(run: "Run", file: Path) -> str:
    """A notebook that launches the experiment and shows what comes of it."""
    file.write_text(run.experiment.to_notebook(), encoding="utf-8")
    return "Run All repeats it"

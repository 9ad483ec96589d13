"""Exports that repeat a run: its experiment as YAML, Python or a notebook."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run


def write_yaml(run: "Run", file: Path) -> str:
    """Write the experiment as a YAML file."""
    file.write_text(run.experiment.to_yaml(), encoding="utf-8")
    return f"qtha-lab run {file.name} repeats it"


def write_python(run: "Run", file: Path) -> str:
    """Write the experiment as Python code."""
    file.write_text(run.experiment.to_python(), encoding="utf-8")
    return f"python {file.name} repeats it"


def write_notebook(run: "Run", file: Path) -> str:
    """Write a notebook that launches the experiment and shows its results."""
    file.write_text(run.experiment.to_notebook(), encoding="utf-8")
    return "Run All repeats it"

"""Exports that repeat a run: its experiment as YAML, Python or a notebook."""

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core.io import write_atomically

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run


def write_yaml(run: "Run", file: Path) -> str:
    """Write the experiment as a YAML file."""
    write_atomically(file, run.experiment.to_yaml())
    return f"qtha-lab run {file.name} repeats it"


def write_python(run: "Run", file: Path) -> str:
    """Write the experiment as Python code."""
    write_atomically(file, run.experiment.to_python())
    return f"python {file.name} repeats it"


def write_notebook(run: "Run", file: Path) -> str:
    """Write a notebook that launches the experiment and shows its results."""
    write_atomically(file, run.experiment.to_notebook())
    return "Run All repeats it"

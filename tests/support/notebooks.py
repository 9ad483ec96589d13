"""The notebooks of this repository: read, executed by a real kernel, and what their outputs say."""

import os
import re
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from qtha_lab.lessons import get
from support.preloaded import KERNEL
from support.waiting import PATIENCE

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PAGE = FOLDER / "workbench.ipynb"  # a panel alone, as Voila serves it
LESSONS = [path for path in NOTEBOOKS if re.match(r"(0[1-9]|1\d)_", path.stem)]
each_notebook = pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path != PAGE], ids=lambda path: path.stem
)
each_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)


class PreloadedKernel(AsyncKernelManager):
    """A kernel that does not import the large libraries anew."""

    kernel_spec = KernelSpec(argv=KERNEL, language="python")


def read(path: Path) -> NotebookNode:
    return nbformat.read(path, as_version=4)


def copy_until(path: Path, text: str, folder: Path) -> Path:
    """Copy a notebook into a folder, up to and with the first code cell that contains a text."""
    notebook = read(path)
    (end, *_) = (n for n, cell in enumerate(notebook.cells, 1) if is_code_with(cell, text))
    notebook.cells = notebook.cells[:end]
    nbformat.write(notebook, folder / path.name)
    return folder / path.name


def is_code_with(cell: NotebookNode, text: str) -> bool:
    return cell.cell_type == "code" and text in cell.source


def is_python(source: str) -> bool:
    """Report if Python alone reads a cell: no top-level `await`, no command of IPython."""
    return "await" not in source and "%pip" not in source


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(
    notebook: NotebookNode, folder: Path, profile: str, place: Path = FOLDER
) -> list[NotebookNode]:
    """Run all cells; all outputs, none of them on standard error.

    Args:
        folder: Takes the runs and what Jupyter writes.
        profile: "ci" is the small one, "full" what a reader sees.
        place: The folder that it is in.
    """
    environment = os.environ | {
        "QTHA_LAB_PROFILE": profile,
        "QTHA_LAB_RUNS": str(folder / "runs"),
        "QTHA_LAB_MY": str(folder / "my"),
        "IPYTHONDIR": str(folder / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }
    client = NotebookClient(
        notebook,
        timeout=3600,
        startup_timeout=int(PATIENCE),
        kernel_manager_class=PreloadedKernel,
        resources={"metadata": {"path": str(place)}},
    )
    client.execute(env=environment)
    outputs = outputs_of(notebook.cells)
    streams = [output for output in outputs if output.output_type == "stream"]
    warnings = [stream.text for stream in streams if stream.name == "stderr"]
    assert warnings == [], "a notebook page shows no warnings"
    return outputs


def outputs_of(cells: list[NotebookNode]) -> list[NotebookNode]:
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def solving_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """For every exercise its solution, as a reader would write it, and the question whether it is
    right.
    """
    return [
        new_code_cell(source)
        for cell in code_cells(notebook)
        if (number := re.match(r'check\("([\d.]+)"', cell.source))
        for source in (get(number[1]).solution, cell.source)
    ]


def verdicts(outputs: list[NotebookNode]) -> list[str]:
    """The lines of `check`, one per exercise."""
    texts = [out["data"]["text/plain"] for out in outputs if "text/plain" in out.get("data", {})]
    return [text for text in texts if re.match(r"[✓✎✗○] \d+\.\d+ ", text)]


def claims(outputs: list[NotebookNode]) -> list[str]:
    """The sentences under "What to see": those that hold begin with ✓, the others with ✗."""
    texts = [out["data"]["text/plain"] for out in outputs if "text/markdown" in out.get("data", {})]
    return [line for text in texts for line in text.splitlines() if line[:2] in ("✓ ", "✗ ")]

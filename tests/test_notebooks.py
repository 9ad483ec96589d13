"""Every notebook: built as style.md asks, and executed top to bottom as found and as solved."""

import ast
import itertools
import os
import re
import statistics
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from qtha_lab.exercises import get

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LESSONS = [path for path in NOTEBOOKS if re.match(r"0[1-9]_", path.stem)]
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def test_there_is_a_tour():
    assert "00_tour" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_outputs_and_counts_are_stripped(path):
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None


@each_notebook
def test_cells_are_short(path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(path)]
    assert statistics.median(lengths) <= 6
    assert max(lengths) <= 20


@each_notebook
def test_the_first_cell_says_what_one_will_be_able_to_do_how_long_it_takes_and_what_to_know(path):
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith("# ")
    assert len([line for line in first.source.splitlines() if line.startswith("* ")]) == 3
    assert "minutes" in first.source
    assert "Before you start" in first.source


@each_notebook
def test_one_parameters_cell_holds_literals_only(path):
    tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in ast.parse(tagged[0].source).body:
        assert isinstance(line, ast.Assign)
        ast.literal_eval(line.value)


def execute(notebook, tmp_path):
    """Run all cells in the small profile; give back all outputs, with none on standard error."""
    environment = os.environ | {
        "QTHA_LAB_PROFILE": "ci",
        "QTHA_LAB_RUNS": str(tmp_path / "runs"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
    }
    client = NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(FOLDER)}}
    )
    client.execute(env=environment)
    outputs = [out for cell in notebook.cells if cell.cell_type == "code" for out in cell.outputs]
    said = [out.text for out in outputs if out.output_type == "stream" and out.name == "stderr"]
    assert said == [], "a notebook page shows no warnings"
    return outputs


def verdicts(outputs):
    """What `check` said, one an exercise."""
    texts = [out["data"]["text/plain"] for out in outputs if "text/plain" in out.get("data", {})]
    return [text for text in texts if re.match(r"[✓✗○] \d+\.\d+ ", text)]


def solved(notebook):
    """The notebook with the solution of each exercise in the place of its stub."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for stub, asked in itertools.pairwise(code):
        if number := re.match(r'check\("([\d.]+)"', asked.source):
            stub.source = get(number[1]).solution
    return notebook


@each_notebook
@pytest.mark.slow
def test_runs_top_to_bottom_as_found(path, tmp_path):
    for verdict in verdicts(execute(read(path), tmp_path)):
        assert verdict.startswith("○"), verdict


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
@pytest.mark.slow
def test_runs_top_to_bottom_with_every_exercise_solved(path, tmp_path):
    said = verdicts(execute(solved(read(path)), tmp_path))
    assert len(said) >= 3
    for verdict in said:
        assert verdict.startswith("✓"), verdict

"""Every notebook: built as style.md asks, executed top to bottom as found, and shown by the documentation.

`test_lessons` executes the lessons with their exercises solved.
"""

import ast
import re
import runpy
import statistics
import subprocess
import sys

import pytest
from support.notebooks import (
    FOLDER,
    NOTEBOOKS,
    code_cells,
    each_lesson,
    each_notebook,
    execute,
    read,
    verdicts,
)

from qtha_lab.exercises import exercises

keep_for_the_site = runpy.run_path(str(FOLDER.parent / "docs" / "hooks.py"))["keep"]


def test_there_is_a_tour():
    assert "00_tour" in [path.stem for path in NOTEBOOKS]


@each_notebook
def test_outputs_and_counts_are_stripped(path):
    for cell in code_cells(read(path)):
        assert cell.outputs == []
        assert cell.execution_count is None


@each_notebook
def test_cells_are_short(path):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(read(path))]
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
    tagged = [c for c in code_cells(read(path)) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    for line in ast.parse(tagged[0].source).body:
        assert isinstance(line, ast.Assign)
        ast.literal_eval(line.value)


@each_lesson
def test_the_stated_minutes_hold_the_exercises_and_the_reading(path):
    cells = read(path).cells
    stated = int(re.search(r"\*\*Time:\*\* (\d+) minutes", cells[0].source)[1])
    lesson = f"{int(path.stem[:2])}."
    solving = sum(e.minutes for e in exercises() if e.number.startswith(lesson))
    words = sum(len(cell.source.split()) for cell in cells if cell.cell_type == "markdown")
    assert solving + words / 150 <= stated


@each_lesson
def test_the_page_says_near_its_top_which_model_it_uses(path):
    shown = [cell.source for cell in read(path).cells[:4] if "page_model(" in cell.source]
    assert [source.splitlines()[-1] for source in shown] == ["page"]


@each_lesson
def test_what_is_to_be_seen_is_computed_and_not_written(path):
    cells = read(path).cells
    assert not [c.id for c in cells if c.cell_type == "markdown" and "What to see" in c.source]
    assert len([c for c in cells if "what_to_see(\n" in c.source]) >= 4


@each_notebook
@pytest.mark.slow
def test_runs_top_to_bottom_as_found(path, tmp_path):
    notebook = read(path)
    for verdict in verdicts(execute(notebook, tmp_path, profile="ci")):
        assert verdict.startswith("○"), verdict
    keep_for_the_site(path, notebook)  # the documentation shows this copy


@pytest.mark.slow
def test_the_documentation_is_built_without_a_warning(tmp_path):
    command = [sys.executable, str(FOLDER.parent / "docs" / "build.py"), str(tmp_path)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr  # strict: a warning is an error
    assert "ΔW" in (tmp_path / "reference" / "methods.html").read_text()
    lesson = (tmp_path / "lessons" / "01_lora_and_rank.html").read_text()
    assert "<math" in lesson


def test_a_build_of_the_documentation_without_its_packages_is_refused_in_a_sentence():
    # -S -E: a Python without any installed package
    command = [sys.executable, "-S", "-E", str(FOLDER.parent / "docs" / "build.py")]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2
    assert refused.stderr == (
        "error: the documentation needs mkdocs-material, mkdocstrings, mkdocs-jupyter, "
        "latex2mathml, nbclient: pip install -e '.[docs]'\n"
    )

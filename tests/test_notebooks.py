"""Every notebook is built alike: short cells, literals for parameters, no outputs; `test_lessons` executes them."""

import ast
import re
import statistics

from support.notebooks import NOTEBOOKS, code_cells, each_lesson, each_notebook, read

from qtha_lab.exercises import exercises


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

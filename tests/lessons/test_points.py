"""Points of submitted notebooks come from the answers' cells alone."""

import csv
import json

import pytest
from support.command_line import call

from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit.assignment import release_notebook, source_notebook
from qtha_lab.lessons.kit.lesson_page import lesson_pages
from qtha_lab.lessons.kit.rubrics import points_of
from qtha_lab.lessons.registry import EXERCISES

(PAGE,) = lesson_pages((2,))
STUBS = {cell.number: cell for cell in PAGE.cells if cell.role == "stub"}
CHEAT = """
import builtins, json, os, subprocess
import numpy as np
import qtha_lab.lessons.kit.points as marking

always = lambda *a, **k: True
marking.grade_code = marking.grade_answer = lambda *a, **k: "right"
subprocess.run = json.dumps = os.write = np.allclose = np.isclose = always
"""


def submitted(answers, folder, tests=None):
    """Write a release with some answers; the cells of the others are deleted."""
    notebook = release_notebook(source_notebook(PAGE))
    numbers = {cell.data["id"]: number for number, cell in STUBS.items()}
    kept = []
    for cell in notebook["cells"]:
        number = numbers.get(cell["id"])
        if number in answers:
            cell["source"] = answers[number].splitlines(keepends=True)
        elif tests and "result = " in cell["source"]:
            cell["source"] = tests
        if number is None or number in answers:
            kept.append(cell)
    folder.mkdir(parents=True)
    (folder / "lesson.ipynb").write_text(json.dumps(notebook | {"cells": kept}))


def graded(*paths):
    """Points and states by submission and task."""
    lines = call("course", "grade", *map(str, paths)).output.splitlines()
    rows = list(csv.DictReader(lines))
    return {
        (r["submission"].split("/")[0], r["task"]): (int(r["points"]), r["state"]) for r in rows
    }


@pytest.mark.slow
def test_an_honest_submission_gets_its_points_a_cheating_one_none_a_part_its_part(tmp_path):
    right = {n: {**BUILDS, **EXERCISES}[n].solution for n in ("2.1", "2.chain")}
    part = right["2.chain"].replace("S[:bond, None]", "S[-bond:, None]")  # smallest
    submitted(right, tmp_path / "honest")
    submitted({"2.chain": part, "2.1": STUBS["2.1"].source}, tmp_path / "part")
    wrong = {"2.1": "{} = [0]", "2.chain": "def {}(*_): return []"}
    names = {"2.1": EXERCISES["2.1"].answer, "2.chain": BUILDS["2.chain"].name}
    cheats = {n: CHEAT + code.format(names[n]) for n, code in wrong.items()}
    submitted(cheats, tmp_path / "cheat", tests="assert True")
    (tmp_path / "broken.ipynb").write_text('{"cells": 3}')
    marks = graded(tmp_path)
    assert marks["honest", "2.1"] == (points_of("2.1"), "right")
    assert marks["honest", "2.chain"] == (3, "built")
    assert marks["part", "2.chain"] == (2, "not yet")
    assert marks["part", "2.1"] == (0, "not attempted")
    assert {marks["cheat", number][0] for number in cheats} == {0}
    assert marks["broken.ipynb", ""] == (0, "no lesson")
    others = {state for (_, task), (_, state) in marks.items() if task not in (*cheats, "")}
    assert others == {"missing"}


def test_a_folder_without_notebooks_is_refused(tmp_path):
    refused = call("course", "grade", str(tmp_path))
    assert "No notebook is in" in str(refused.exception)
    assert refused.output == ""


def test_a_notebook_of_nothing_and_one_of_no_lesson_get_a_row_without_points(tmp_path):
    (tmp_path / "a.ipynb").write_text("{")
    (tmp_path / "b.ipynb").write_text('{"cells": [{"cell_type": "code", "source": "1"}]}')
    assert graded(tmp_path) == {(f"{n}.ipynb", ""): (0, "no lesson") for n in "ab"}

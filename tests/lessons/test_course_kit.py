"""A lecturer's kit: notebooks for nbgrader, key, rubrics and class paths follow the registries."""

import json
import re
import warnings
from typing import Any

import nbformat
import pytest
from support.command_line import call
from support.refusals import refused
from traitlets.config.loader import PyFileConfigLoader

from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit import build_all
from qtha_lab.lessons.kit.assignment import (
    online_page,
    release_notebook,
    source_notebook,
    write_assignments,
)
from qtha_lab.lessons.kit.class_paths import class_paths
from qtha_lab.lessons.kit.executed import executed_pages, lesson_measurements
from qtha_lab.lessons.kit.lesson_page import lesson_page, lesson_pages
from qtha_lab.lessons.kit.machine_check import missing_packages
from qtha_lab.lessons.kit.rubrics import points_of
from qtha_lab.lessons.object_graders import WrittenAnswer
from qtha_lab.lessons.registry import EXERCISES

PAGES = lesson_pages()
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.stem)


def graded(notebook, **metadata):
    """Cells of a notebook with this metadata of nbgrader."""
    cells = [c for c in notebook["cells"] if "nbgrader" in c["metadata"]]
    return [c for c in cells if metadata.items() <= c["metadata"]["nbgrader"].items()]


def page_number(cell):
    """Number of the exercise or build of a graded cell."""
    names = {exercise.answer: number for number, exercise in EXERCISES.items()}
    named = re.match(r"(\w+) = \.\.\.", cell["source"])
    return names[named[1]] if named else cell["source"].split('"')[1]


def in_page(registry):
    """Numbers of a registry whose lesson is written."""
    lessons = {page.number for page in PAGES}
    return {number for number in registry if int(number.split(".")[0]) in lessons}


def test_every_exercise_and_build_of_the_lessons_is_graded_once():
    tests = [c for page in PAGES for c in graded(source_notebook(page), grade=True)]
    points = [(page_number(c), c["metadata"]["nbgrader"]["points"]) for c in tests]
    assert sorted(points) == sorted(
        (number, points_of(number)) for number in in_page(EXERCISES) | in_page(BUILDS)
    )


def test_every_explanation_is_graded_by_a_person_with_one_point_per_line_of_its_rubric():
    by_hand = [c for p in PAGES for c in graded(source_notebook(p), grade=True, solution=True)]
    explained = [n for n in in_page(EXERCISES) if isinstance(EXERCISES[n].grader, WrittenAnswer)]
    assert len(by_hand) == len(explained) > 0
    for cell in by_hand:
        rubric = cell["source"].split("Rubric, one point each:")[1]
        assert cell["metadata"]["nbgrader"]["points"] == rubric.count("\n# * ") >= 3


@each_page
def test_a_release_holds_no_solution_and_all_else(page):
    source = source_notebook(page)
    release = release_notebook(source)
    assert [c["id"] for c in release["cells"]] == [c["id"] for c in source["cells"]]
    text = "\n".join(cell["source"] for cell in release["cells"])
    for number in in_page(EXERCISES):
        solution = EXERCISES[number].solution
        assert solution not in text or "\n" not in solution
    assert "SOLUTION" not in text
    assert 'solution("' not in text
    assert "Rubric, one point" not in text


@each_page
def test_the_pair_passes_the_checks_of_nbgrader(page, tmp_path):
    """Its preprocessors refuse wrong metadata, and clear the source to our release."""
    pytest.importorskip("nbgrader")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of nbgrader's imports
        from nbgrader.preprocessors import (
            CheckCellMetadata,
            ClearSolutions,
            LockCells,
            SaveCells,  # noqa: F401 - imports the model of the grade book
        )
    write_assignments([page], tmp_path, with_source=True)
    config: dict = {}
    from traitlets.config import Config

    loaded = Config()
    exec((tmp_path / "nbgrader_config.py").read_text(), {"get_config": lambda: loaded}, config)
    source, release = (
        nbformat.read(tmp_path / kind / page.path.stem / page.path.name, as_version=4)
        for kind in ("source", "release")
    )
    for notebook in (source, release):
        nbformat.validate(notebook)
        CheckCellMetadata().preprocess(notebook, {})
    cleared: Any = source
    resources: Any = {"language": "python"}
    for step in (ClearSolutions, LockCells):
        cleared, _ = step(config=loaded).preprocess(cleared, resources)
    assert [c.source for c in cleared.cells] == [c.source for c in release.cells]


@pytest.mark.slow
@each_page
def test_nbgrader_finds_every_answer_of_a_source_right_and_every_stub_unanswered(page, tmp_path):
    pytest.importorskip("nbgrader")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from nbgrader.validator import Validator
    write_assignments([page], tmp_path, with_source=True)
    config = PyFileConfigLoader("nbgrader_config.py", str(tmp_path)).load_config()
    files = [tmp_path / kind / page.path.stem / page.path.name for kind in ("source", "release")]
    source, release = (Validator(config=config).validate(str(file)) for file in files)
    assert "failed" not in source, source.get("failed")
    tests = graded(source_notebook(page), grade=True, solution=False)
    assert len(release.get("failed", [])) == len(tests)


def test_each_class_path_fits_its_time_and_names_its_lessons():
    ninety, day, weeks = class_paths(PAGES)
    assert sum(step.minutes for step in ninety.session[0].steps) == 90
    assert [len(path.session) for path in (day, weeks)] == [2, 4]
    for path, budget in ((day, 180), (weeks, 240)):
        for session in path.session:
            assert session.schedule()[-1][1] <= budget
    shown = {step.lesson for session in weeks.session for step in session.steps}
    assert shown == {page.number for page in PAGES}


def test_a_syllabus_of_some_lessons_holds_just_these():
    (path,) = class_paths([PAGES[9], PAGES[12]])
    (session,) = path.session
    assert [(step.lesson, step.minutes) for step in session.steps] == [
        (9, PAGES[9].minutes),
        (12, PAGES[12].minutes),
    ]


def test_a_lesson_without_outputs_has_no_answer_of_a_measured_prediction(tmp_path):
    page = lesson_page(PAGES[1].path)
    assert page.result_of("1.a") == ""
    assert page.task_of("1.1").startswith("An adapter of")


# ---- Colab and Binder


def test_a_notebook_opens_with_a_cell_that_installs_or_says_that_all_is_there(capsys):
    first = source_notebook(online_page(PAGES[3]))["cells"][1]["source"]
    assert '%pip install --quiet "qtha-lab[lab]"' in first
    exec(first.replace("%pip", "raise AssertionError #"))
    assert capsys.readouterr().out == "qtha-lab is installed.\n"


def test_badges_lead_to_the_notebook_and_need_a_repository_on_github():
    page = online_page(PAGES[3], "https://github.com/owner/name")
    text = page.cells[0].source
    assert "(https://colab.research.google.com/github/owner/name/blob/HEAD/notebooks/03_" in text
    assert "labpath=notebooks%2F03_circuits.ipynb)" in text
    assert "git+https://github.com/owner/name" in page.cells[1].source
    assert page.title == PAGES[3].title
    with refused("repository", "'here'"):
        online_page(PAGES[3], "here")


# ---- the machine


def test_the_check_lists_models_and_every_lesson_without_running_any(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    report = json.loads(call("course", "check", "--minutes", "0", "--json").output)
    assert {"model tiny", "memory", "browser for PDF"} <= report["machine"].keys()
    assert [c["name"] for c in report["lessons"]] == [page.stem for page in PAGES]
    assert {c["seconds"] for c in report["lessons"]} == {None}
    by_name = {c["name"]: c for c in report["lessons"]}
    assert "smollm2-135m is not on this machine" in by_name["01_lora_and_rank"]["problems"][0]
    assert by_name["03_circuits"]["problems"] == []


def test_a_lesson_that_imports_a_missing_package_is_named(tmp_path):
    cell = {"cell_type": "code", "metadata": {}, "source": "import no_such_package.part\nimport os"}
    path = tmp_path / "03_x.ipynb"
    path.write_text(json.dumps({"cells": [cell, cell | {"source": "await nothing"}]}))
    assert missing_packages(lesson_page(path)) == ["no_such_package"]


@pytest.mark.slow
def test_a_build_without_time_names_the_lessons_that_have_no_pictures(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(build_all, "EXECUTION", 0.0)
    output = call("course", "build", str(tmp_path / "course"), "--lessons", "3").output
    assert "1 of 1 lessons have no pictures yet: run the command again." in output
    assert (tmp_path / "course" / "slides" / "03_circuits.pdf").is_file()


@pytest.mark.slow
def test_an_executed_copy_is_stored_with_its_seconds_and_taken_again(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    source = ["# Question\n\n**Time:** 5 minutes", 'model = "smollm2-135m"', "print(model)"]
    kinds = ["markdown", "code", "code"]
    cells = [
        {"cell_type": kind, "metadata": {}, "source": text, "id": f"c{n}"}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for n, (kind, text) in enumerate(zip(kinds, source, strict=True))
    ]
    path = tmp_path / "99_x.ipynb"
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(notebook))
    (copy,) = executed_pages([lesson_page(path)])
    assert copy.cells[2].outputs[0]["text"] == "tiny\n"
    assert lesson_measurements(copy)["seconds"] > 0
    (again,) = executed_pages([lesson_page(path)], seconds=0)
    assert again.path == copy.path

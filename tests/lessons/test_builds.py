"""Builds of the lessons: solutions pass, mistakes stop at their step, lesson 6 from own parts."""

import ast
import doctest
import linecache
import re
from pathlib import Path

import pytest
from support.notebooks import FOLDER, code_cells, read
from support.refusals import refused

from qtha_lab.lessons import build, hint, own_build, solution
from qtha_lab.lessons.builds import BUILDS

each_build = pytest.mark.parametrize("number", [*BUILDS])


def cell(source, names):
    """Run code as a notebook's cell, whose source can be read again."""
    name = f"<cell {abs(hash(source))}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)


@each_build
def test_a_solution_passes_all_steps(number):
    result = build(number, BUILDS[number].solved())
    assert result.state == "built", result


@each_build
def test_the_stub_on_the_page_is_not_attempted(number):
    (page,) = FOLDER.glob(f"{int(number.split('.')[0]):02}_*.ipynb")
    sources = [c.source for c in code_cells(read(page))]
    (asked,) = [k for k, source in enumerate(sources) if source.startswith(f'build("{number}"')]
    names: dict = {}
    exec("\n".join([*imports_of(sources[:asked]), sources[asked - 1]]), names)
    assert build(number, names[BUILDS[number].name]).state == "not attempted"


HEAVY = ("1.model", "6.layer", "7.loop", "7.loss")  # steps load or train a model

each_mistake = pytest.mark.parametrize(
    ("number", "mistake"),
    [
        pytest.param(
            number,
            mistake,
            id=f"{number}-{place}",
            marks=[pytest.mark.slow] if number in HEAVY else [],
        )
        for number, task in BUILDS.items()
        for place, mistake in enumerate(task.mistakes)
    ],
)


@each_mistake
def test_a_usual_mistake_stops_at_its_step_with_its_cause_and_the_expected_values(number, mistake):
    result = build(number, BUILDS[number].solved(mistake.code))
    assert (result.state, result.failed, result.cause) == ("not yet", mistake.step, mistake.reason)
    is_stopped = any(word in result.reason for word in ("it stops with", "lacks", "has no point"))
    assert is_stopped or " instead of " in result.reason, result


@each_build
def test_a_build_is_an_exercise_with_minutes_hints_and_causes_of_usual_mistakes(number):
    task = BUILDS[number]
    assert 5 <= task.minutes <= 25
    assert len(set(task.hints)) == 3
    reasons = [mistake.reason for mistake in task.mistakes]
    assert 5 <= len(set(reasons)) == len(reasons)
    assert repr(solution(number)) == task.solution
    assert repr(hint(number)).startswith("Hint ")


@each_build
def test_the_page_shows_stub_drawing_and_minutes_as_declared(number):
    (page,) = FOLDER.glob(f"{int(number.split('.')[0]):02}_*.ipynb")
    cells = read(page).cells
    at = next(k for k, c in enumerate(cells) if c.source.startswith(f'build("{number}"'))
    task = BUILDS[number]
    text = next(c.source for c in reversed(cells[:at]) if c.cell_type == "markdown")
    assert text.endswith(f"*Build, {task.minutes} minutes.*\n\n```text\n{task.drawing}\n```")
    assert cells[at - 1].source.endswith(task.stub)
    calls = [f'hint("{number}")', f'solution("{number}")']
    assert [c.source for c in cells[at + 1 : at + 3]] == calls


@each_build
def test_the_stub_is_typed(number):
    (built,) = ast.parse(BUILDS[number].stub).body
    functions = [node for node in ast.walk(built) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        arguments = [a for a in function.args.args if a.arg != "self"]
        assert all(argument.annotation for argument in arguments)
        assert function.returns or function.name == "__init__"


@each_build
def test_the_small_case_of_the_docstring_holds_for_the_solution(number):
    (page,) = FOLDER.glob(f"{int(number.split('.')[0]):02}_*.ipynb")
    sources = [c.source for c in code_cells(read(page))]
    at = next(k for k, s in enumerate(sources) if s.startswith(f'build("{number}"'))
    names: dict = {}
    for source in [*imports_of(sources[:at]), BUILDS[number].setup]:
        exec(source, names)
    names[BUILDS[number].name] = BUILDS[number].solved()
    text = ast.get_docstring(ast.parse(BUILDS[number].stub).body[0])
    small = doctest.DocTestParser().get_doctest(text or "", names, number, None, None)
    assert small.examples
    result = doctest.DocTestRunner(verbose=False).run(small)
    assert result.failed == 0


def imports_of(sources):
    """Import statements of cells, without commands of IPython."""
    return [
        line
        for source in sources
        for line in re.findall(r"^(?:from|import) [^(\n]+$", source, re.MULTILINE)
    ]


@each_build
def test_an_answer_without_a_known_cause_gets_none(number):
    result = build(number, lambda *_, **__: "a duck")
    assert (result.state, result.cause) == ("not yet", "")


def test_lesson_6_is_assembled_from_the_readers_own_pieces(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "my"))
    names: dict = {"__name__": "__main__"}
    for number in ("2.apply", "3.circuit"):
        code = re.sub(
            r"^import torch\n", "", BUILDS[number].setup + "\n\n" + BUILDS[number].solution
        )
        cell("import torch\n", names)
        for block in re.split(r"\n\n\n?(?=def )", code.strip()):
            cell(block + "\n", names)
        assert build(number, names[BUILDS[number].name]).state == "built"
    files = {
        number: Path(own_build(number).__code__.co_filename) for number in ("2.apply", "3.circuit")
    }
    assert [file.relative_to(tmp_path / "my").name for file in files.values()] == [
        "lesson_02.py",
        "lesson_03.py",
    ]
    for number in ("6.change", "6.layer"):  # their setup takes the parts by `own_build`
        assert build(number, BUILDS[number].solved()).state == "built"


def test_a_piece_that_the_reader_lacks_is_the_declared_solution(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "empty"))
    assert own_build("3.mean").__name__ == "mean_z"
    with refused("build", "'3.nothing'"):
        own_build("3.nothing")

"""Builds of the lessons: solutions pass, mistakes stop at their step, lesson 6 from own parts."""

import linecache
import re
from pathlib import Path

import pytest
from support.notebooks import FOLDER, code_cells, read
from support.refusals import refused

from qtha_lab.lessons import build, own_build
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
    exec(sources[asked - 1], names)
    assert build(number, names[BUILDS[number].name]).state == "not attempted"


@pytest.mark.parametrize(
    ("number", "code", "step"),
    [
        pytest.param(number, code, step, id=f"{number}-{place}")
        for number, task in BUILDS.items()
        for place, (code, step) in enumerate(task.mistakes)
    ],
)
def test_a_mistake_stops_at_the_step_that_finds_it(number, code, step):
    result = build(number, BUILDS[number].solved(code))
    assert (result.state, result.failed) == ("not yet", step), result


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

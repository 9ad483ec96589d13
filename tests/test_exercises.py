"""Exercises: every one holds what it promises, and the notebooks ask it as it is declared."""

import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch

from qtha_lab.exercises import check, desk, exercises, hint, judge, solution

FOLDER = Path(__file__).parent.parent / "notebooks"
each = pytest.mark.parametrize("one", exercises(), ids=lambda one: one.number)


def left_by(one, code):
    """What a piece of code leaves under the answer's name, after what the notebook ran before."""
    names: dict = {}
    exec(one.given, names)
    exec(code, names)
    return names[one.answer]


def cells_of(lesson):
    """The cells of a lesson's notebook; none while it is not written."""
    found = sorted(FOLDER.glob(f"{int(lesson):02}_*.ipynb"))
    return nbformat.read(found[0], as_version=4).cells if found else []


@each
def test_the_solution_is_right(one):
    verdict = check(one.number, left_by(one, one.solution))
    assert verdict.state == "right", verdict


@each
def test_a_mistake_to_be_expected_is_wrong_and_told_why(one):
    for code in one.wrong:
        verdict = check(one.number, left_by(one, code))
        assert verdict.state == "wrong", code
        assert verdict.message


@each
@pytest.mark.parametrize(
    "odd", [None, "a duck", object(), [], float("nan")], ids=lambda odd: type(odd).__name__
)
def test_an_odd_answer_is_wrong_and_stops_nothing(one, odd):
    assert check(one.number, odd).state == "wrong"


@each
def test_an_empty_answer_is_not_attempted(one):
    assert check(one.number, ...).state == "not attempted"


@each
def test_the_notebook_asks_it_as_declared(one):
    cells = cells_of(one.number.split(".")[0])
    if not cells:
        pytest.skip("its notebook is not written yet")
    (at,) = [i for i, cell in enumerate(cells) if cell.source.startswith(one.heading + "\n")]
    assert cells[at].source.split("\n\n")[1].startswith(one.effort)
    stub, *asked = (cell.source for cell in cells[at + 1 : at + 5])
    assert asked == [
        f'check("{one.number}", {one.answer})',
        f'hint("{one.number}")',
        f'solution("{one.number}")',
    ]
    names: dict = {}
    exec(stub, names)
    assert check(one.number, names[one.answer]).state == "not attempted"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("0[1-9]_*.ipynb")), ids=lambda p: p.stem)
def test_a_lesson_has_three_exercises_numbered_in_order_and_all_declared(path):
    source = "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells)
    asked = re.findall(r"^### Exercise (\d+\.\d+) ·", source, re.MULTILINE)
    lesson = int(path.stem[:2])
    assert asked == [f"{lesson}.{k}" for k in range(1, len(asked) + 1)]
    assert len(asked) >= 3
    declared = [e.number for e in exercises() if e.number.startswith(f"{lesson}.")]
    assert declared == asked


def test_hints_come_one_at_a_time_and_unfold_on_a_page():
    desk._GIVEN.pop("1.1", None)
    first, second, again = hint("1.1"), hint("1.1"), hint("1.1")
    assert repr(first).startswith("Hint 1 of 2")
    assert repr(second).startswith("Hint 2 of 2")
    assert repr(again) == repr(second)
    assert first._repr_html_().count("<details") == 2
    assert "open" not in first._repr_html_()


def test_a_solution_is_folded_on_a_page():
    assert solution("1.1")._repr_html_().startswith("<details")
    assert "576" in repr(solution("1.1"))


def test_an_unknown_number_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown exercise '99\.9'"):
        check("99.9", 1)


def test_functions_left_as_they_stood_are_empty():
    def bare(x): ...

    def told(x):
        """What it should do."""
        ...

    def passed(x):
        pass

    def one(x):
        return 1

    assert [judge.is_empty(f) for f in (bare, told, passed, one)] == [True, True, True, False]


def test_answers_may_be_tensors_and_arrays():
    judge.array(torch.tensor([1.0, 2.0], requires_grad=True), [1, 2])
    judge.number(np.float32(3), 3)
    judge.number(torch.tensor(3.0), 3)
    judge.on_cases(lambda x: torch.as_tensor(x) * 2, [(([1, 2],), [2, 4])])
    with pytest.raises(judge.Wrong, match=r"entry \[1\] is 3, which is not it"):
        judge.array([1, 3], [1, 2])

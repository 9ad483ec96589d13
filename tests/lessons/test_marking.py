"""Marks come from a process of their own, which the kernel of an answer cannot reach."""

import numpy as np
import pytest
import torch

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons import guard
from qtha_lab.lessons.kit import variants
from qtha_lab.lessons.kit.assignment import HIDDEN, TESTED
from qtha_lab.lessons.marking import grade_answer, grade_code
from qtha_lab.lessons.registry import EXERCISES, get


@pytest.mark.slow
def test_an_answer_is_marked_by_its_code():
    assert grade_answer("1.1", 10) == "right"
    assert grade_answer("1.1", 11) == "wrong"
    assert grade_answer("1.1", ...) == "not attempted"


@pytest.mark.slow
def test_a_build_is_marked_by_its_code():
    from qtha_lab.lessons.builds import BUILDS

    assert grade_code("3.mean", BUILDS["3.mean"].solution) == "built"
    assert grade_code("3.mean", "def mean_z(*_): return 0.0") == "not yet"


@pytest.mark.slow
def test_a_kernel_that_switches_the_grader_gets_no_mark():
    def always(*_, **__):
        return True

    guard.protect_libraries()
    np.allclose = np.isclose = torch.equal = always
    try:
        assert grade_answer("1.1", 11) == "wrong"
    finally:
        guard.put_back()


@pytest.mark.slow
@pytest.mark.parametrize(
    "code",
    [
        'import os; print(\'{"state": "right"}\'); largest_rank = 11',
        'import os; os.write(1, b\'{"state": "right"}\'); largest_rank = 11',
        "import numpy; numpy.isclose = lambda *a, **k: True; largest_rank = 11",
        "raise SystemExit",
        "largest_rnk = 10",
    ],
    ids=["prints", "writes", "patches", "ends", "another name"],
)
def test_code_that_writes_a_verdict_itself_is_not_right(code):
    assert grade_code("1.1", code) != "right"


@pytest.mark.slow
def test_a_mark_follows_the_constants_of_a_student():
    constants = variants.draw("1.1", 3)
    code = f"largest_rank = {constants['a'] + constants['b']}"
    declared = get("1.1")
    variants.use_seed(3)
    try:
        assert grade_code("1.1", code) == "right"
    finally:
        variants._used.clear()
        EXERCISES.add("1.1", declared, EXERCISES.module_of("1.1"))


def test_a_number_that_is_not_there_is_refused():
    with pytest.raises(Refusal, match=r"99\.9"):
        grade_answer("99.9", 1)


def test_the_hidden_tests_are_not_in_the_release():
    cell = TESTED.format(call='check("1.1", largest_rank)', state="right", number="1.1", name="x")
    assert "grade_answer(" in cell
    assert HIDDEN.sub("", cell).endswith('assert result.state == "right", result')
    assert get("1.1").answer == "largest_rank"

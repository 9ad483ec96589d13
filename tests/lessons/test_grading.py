"""Grading of answers that nobody declared: generic mistakes, endless and odd answers."""

import dataclasses
import itertools
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from qtha_lab.lessons import answers, check, exercises, get, grading
from qtha_lab.lessons.generic_mistakes import generic_reason
from qtha_lab.lessons.object_graders import Construction
from qtha_lab.lessons.time_limit import AnswerTimeout, time_limit
from qtha_lab.lessons.value_facts import value_facts

WAVES = grading.Function(
    lambda: [((a, b), [np.sin(a) * b, np.log2(3 + a * b)]) for a, b in ((0.3, 1.2), (-1.1, 0.4))]
)
TABLES = grading.Function(
    lambda: [((table, 2), table.mean(axis=0) ** 2) for table in (np.arange(6.0).reshape(3, 2),)]
)


def waves(a, b):
    return np.array([np.sin(a) * b, np.log2(3 + a * b)])


def squares(table, power):
    return table.mean(axis=0) ** power


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (lambda a, b: -waves(a, b), "the sign is reversed"),
        (lambda a, b: 2 * waves(a, b), "it is twice as large as it should be"),
        (lambda a, b: waves(a, b) / 2, "it is half as large as it should be"),
        (lambda a, b: waves(a, b) ** 2, "did you forget a square root?"),
        (lambda a, b: waves(a, b) * np.log(2), "natural logarithm"),
        (lambda a, b: waves(b, a), "the first and the second argument are exchanged"),
        (lambda a, b: waves(np.radians(a), b), "first argument converted from degrees to radians"),
        (lambda a, b: waves(a, -b), "argument with the opposite sign"),
        (lambda a, b: waves(a, b) + 1, "larger than the right value by one"),
        (lambda a, b: waves(a, b)[::-1], "its entries are in the opposite order"),
    ],
)
def test_a_generic_mistake_is_named_by_its_values(answer, sentence):
    assert sentence in generic_reason(WAVES, lambda: waves, answer)


def test_a_wrong_power_and_a_sum_in_place_of_a_mean_are_told_apart():
    reasons = [
        generic_reason(TABLES, lambda: squares, answer)
        for answer in (
            lambda table, power: table.mean(axis=0) ** (power + 1),
            lambda table, power: table.mean(axis=0),
            lambda table, power: table.sum(axis=0) ** power,
        )
    ]
    assert reasons == [
        "its values are those for the second argument increased by one",
        "it is the square root of the right value: a square is missing",
        None,
    ]


def test_a_right_or_an_unrelated_answer_gets_no_generic_reason():
    assert generic_reason(WAVES, lambda: waves, waves) is None
    assert generic_reason(WAVES, lambda: waves, lambda a, b: [a, b]) is None
    assert generic_reason(WAVES, lambda: waves, lambda a, b: 1 / 0) is None
    assert generic_reason(WAVES, lambda: waves, "a duck") is None


@pytest.mark.parametrize(
    ("right", "answer", "sentence"),
    [
        (6400, 12800, "twice"),
        (6400, 80, "square root of the right value"),
        (6400, 6401, "larger than the right value by one"),
        (0.75, 75, "in per cent"),
        (0.75, 0.25, "one minus the right value"),
        (0.75, -0.75, "the sign is reversed"),
        (3.0, 3 * np.log(2), "natural logarithm"),
    ],
)
def test_a_number_that_is_off_by_a_usual_factor_is_named(right, answer, sentence):
    grader = grading.Number(right)
    assert sentence in generic_reason(grader, lambda: right, answer)
    assert generic_reason(grader, lambda: right, right * 7.3) is None


def test_of_several_numbers_the_right_ones_are_counted_and_not_named():
    grader = grading.WholeNumbers((4, 10, 16))
    assert generic_reason(grader, tuple, (4, 10, 300)) == "2 of the 3 numbers are right"
    assert generic_reason(grader, tuple, (16, 10, 4)) == "its entries are in the opposite order"
    assert generic_reason(grader, tuple, (5, 11, 17)) == "it is larger than the right value by one"
    assert generic_reason(grader, tuple, (1, 2, 3)) is None


FUNCTIONS = [e for e in exercises() if isinstance(e.grader, grading.Function)]
of_functions = pytest.mark.parametrize("exercise", FUNCTIONS, ids=lambda e: e.number)


@of_functions
def test_any_two_declared_mistakes_differ_on_some_case(exercise):
    """Mistakes with right values have the reason of `extra_check`; their way tells them apart."""
    right = exercise.answer_of(exercise.solution)
    answers_of = [exercise.answer_of(code) for code, _ in exercise.mistakes]
    wrong = [answer for answer in answers_of if not agree(exercise, right, answer)]
    assert len(wrong) >= len(answers_of) - 2
    for one, other in itertools.combinations(wrong, 2):
        assert not agree(exercise, one, other)


def agree(exercise, one, other):
    try:
        return exercise.grader.agrees(one, other)
    except Exception:
        return False


@of_functions
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: -y, "the sign is reversed"),
        (lambda y: 2 * y, "twice as large"),
        (lambda y: y / 2, "half as large"),
    ],
)
def test_a_generic_mistake_is_recognised_in_every_function(exercise, change, sentence):
    right = exercise.answer_of(exercise.solution)
    verdict = check(exercise.number, lambda *a: change(np.array(grading.as_array(right(*a)))))
    assert verdict.state == "wrong"
    declared = [why for _, why in exercise.mistakes]
    assert sentence in verdict.message or verdict.message in declared


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(answers, "LIMIT_SECONDS", 0.05)


def never_ends(*_arguments):
    while True:
        try:
            while True:
                pass
        except Exception:
            continue


@of_functions
def test_an_endless_answer_is_interrupted_with_a_sentence(exercise, monkeypatch):
    check(exercise.number, exercise.answer_of(exercise.solution))  # imports take their time
    monkeypatch.setattr(answers, "LIMIT_SECONDS", 0.05)
    verdict = check(exercise.number, never_ends)
    assert verdict.state == "wrong"
    assert "it is not done after 0.05 seconds" in verdict.message


def test_an_answer_that_sleeps_is_interrupted_too(impatient):
    verdict = check(FUNCTIONS[0].number, lambda *_: time.sleep(3600))
    assert "it is not done after" in verdict.message


class Mute:
    def __repr__(self):
        raise RuntimeError("no words")

    def __float__(self):
        raise RuntimeError("no number")

    def __iter__(self):
        raise RuntimeError("no entries")


def endless_list():
    values = []
    values.append(values)
    return values


def leaves(*_arguments):
    raise SystemExit(3)


@pytest.mark.parametrize("exercise", exercises(), ids=lambda e: e.number)
@pytest.mark.parametrize(
    "odd",
    [Mute(), endless_list(), leaves, lambda *_: Mute(), {"a": 1}, np.zeros((3, 0)), 1 + 2j, b"4"],
    ids=["mute", "endless list", "leaves", "returns mute", "dict", "empty", "complex", "bytes"],
)
def test_an_answer_of_another_kind_gets_a_sentence(exercise, odd):
    verdict = check(exercise.number, odd)
    assert verdict.state == "wrong"
    assert verdict.message
    assert repr(verdict)


def test_an_explorer_stands_for_its_state(monkeypatch):
    from widgets import BudgetBar

    graded = []
    waist = Construction(((lambda answer: graded.append(answer) or True, "a state is expected"),))
    exercise = dataclasses.replace(exercises()[0], grader=waist)
    monkeypatch.setattr(answers, "get", lambda number: exercise)
    assert check("0.2", BudgetBar(waist=16)).state == "right"
    assert graded == [BudgetBar(waist=16).state]


def test_a_function_without_source_or_with_wrong_arguments_gets_a_sentence():
    number = FUNCTIONS[0].number
    assert "TypeError" in check(number, lambda: 1).message
    assert check(number, len).state == "wrong"


@pytest.mark.slow
def test_grading_a_circuit_compiles_no_kernel():
    """With an empty cache a kernel takes a minute, for which no answer should wait."""
    code = (
        "import sys\n"
        "from qtha_lab.lessons import answers\n"
        "from qtha_lab.lessons.registry import get\n"
        "exercise = get('4.2')\n"
        "print(answers.check('4.2', exercise.answer_of(exercise.solution)).state)\n"
        "print('numba' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["right", "False"]


def test_an_error_of_a_further_predicate_is_reported_and_is_no_fault_of_the_answer():
    def fails(value):
        raise KeyError("rank")

    grader = Construction(((lambda v: v > 0, "a number is expected"), (fails, "its rank is 2")))
    with pytest.raises(grading.WrongAnswer, match="a number is expected"):
        grader.check("text")
    with pytest.raises(grading.WrongAnswer, match=r"its check stops with .*rank"):
        grader.check(3)


PAIRS = [np.array([1.0, 2.0, 4.0]), np.array([3.0, 5.0, 6.0])]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda y: 4 * y, "it is 4 times the right value in every case"),
        (lambda y: y + 64, "it is larger than the right value by 64 in every case"),
        (lambda y: 0 * y, "it is zero in every case"),
        (lambda y: y * np.nan, "it is not a finite number"),
        (lambda y: y[[1, 0, 2]], "its entries are right, in another order: 2, 1, 3"),
        (lambda y: y[1:], "entry 1 is missing, and the others are right"),
        (lambda y: y.sum(), "it is one number, the sum of the right entries"),
        (lambda y: y[:, None], "its values are right, and their shape (3, 1) is not"),
        (lambda y: y * [2, 1, 1], "entry 1 is wrong, and the others are right: it is twice"),
    ],
)
def test_a_fact_about_wrong_values_holds_in_every_case(change, sentence):
    values = [np.asarray(change(right)) for right in PAIRS]
    assert next(value_facts(values, PAIRS, np.allclose)).startswith(sentence)


def test_two_faults_at_once_are_named_and_an_argument_that_is_not_used():
    both = get("9.2").solution.replace("ddof=1", "ddof=0")
    verdict = check("9.2", get("9.2").answer_of(both))
    assert verdict.message.startswith("two faults: the variance of the seeds divides by n")
    assert "depend on phi" in check("3.3", lambda theta, x, phi: torch.cos(theta + x)).message


def test_a_small_change_of_the_solution_is_the_cause_of_its_values():
    answer = get("3.3").answer_of("def one_qubit(a, b, c):\n    return torch.tanh(a + b + c)")
    expected = "a right answer has these values with `torch.tanh` in place of `torch.cos`"
    assert check("3.3", answer).message == expected


def endless(inner_seconds=None):
    if inner_seconds:
        with pytest.raises(AnswerTimeout), time_limit(inner_seconds):
            endless()
    while True:
        pass


def test_a_limit_inside_of_another_one_stops_its_own_block_alone():
    with pytest.raises(AnswerTimeout), time_limit(0.3):
        endless(inner_seconds=0.05)

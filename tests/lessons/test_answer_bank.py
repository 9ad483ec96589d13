"""Grading of a bank of answers that is kept apart from the exercises' files."""

import re

import numpy as np
import pytest
from support.answer_bank import (
    BY_TITLE,
    FUNCTION_ANSWERS,
    FUNCTIONS,
    HELD_OUT,
    OWN_METHOD,
    RIGHT,
    WRONG,
    verdict_of,
    verdict_on,
)

from qtha_lab.lessons.grading import WrongAnswer
from qtha_lab.lessons.object_graders import WrittenAnswer

LEAST_WITH_REASON = 0.6


def cases(bank):
    return [
        pytest.param(
            title,
            entry,
            id=f"{title}-{number}",
            marks=[pytest.mark.slow] if title == OWN_METHOD else [],
        )
        for title, entries in bank.items()
        for number, entry in enumerate(entries)
    ]


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # a reader may do so
@pytest.mark.parametrize(("title", "code"), cases(RIGHT))
def test_a_right_answer_in_another_way_is_accepted(title, code):
    verdict = verdict_on(title, *([code] if isinstance(code, str) else code))
    assert verdict.state == "right", verdict


@pytest.mark.parametrize(("title", "entry"), cases(WRONG))
def test_a_wrong_answer_gets_its_true_reason_or_none(title, entry):
    *code, reason = entry
    verdict = verdict_on(title, *code)
    assert verdict.state == "wrong"
    if reason:
        assert reason in verdict.message
        assert not has_right_value(verdict.message, BY_TITLE[title].grader)
    else:  # the values of the answer, and no reason
        assert " instead of " in verdict.message or "is not it;" in verdict.message


def has_right_value(text, grader):
    numbers = [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*(?:\.\d+)?", text)]
    rights = [right for right in grader.right_values() if right not in (-1, 0, 1, 2)]
    return any(np.isclose(n, right, rtol=1e-3) for n in numbers for right in rights)


@pytest.mark.parametrize("text", ["abc", ["a", "b", "c"], "It is better. " * 100])
def test_an_explanation_is_a_text_of_some_sentences(text):
    with pytest.raises(WrongAnswer, match="words is expected"):
        WrittenAnswer(rubric=("size",), model_answer="").check(text)


def test_three_in_five_wrong_answers_get_a_reason():
    reasons = [reason for entries in WRONG.values() for *_, reason in entries]
    assert sum(map(bool, reasons)) >= LEAST_WITH_REASON * len(reasons)


def test_the_bank_is_large_enough_to_judge_by():
    assert sum(map(len, WRONG.values())) >= 100
    assert sum(map(len, RIGHT.values())) >= 40


@pytest.mark.slow
@pytest.mark.parametrize(("title", "number"), FUNCTION_ANSWERS)
def test_a_wrong_function_is_told_its_cause_or_its_smallest_failing_case(title, number):
    verdict, told = verdict_of(title, number), FUNCTIONS[title][number][3]
    assert verdict.state == "wrong", verdict
    assert told in verdict.message
    if not told:
        assert " instead of " in verdict.message or "it stops with" in verdict.message


def test_most_wrong_functions_have_a_cause_also_of_those_held_out():
    assert len(FUNCTION_ANSWERS) >= 300
    assert len(HELD_OUT) >= 100
    assert share_with_cause(FUNCTION_ANSWERS) >= 0.85
    assert share_with_cause(HELD_OUT) >= 0.65


def share_with_cause(answers):
    return sum(bool(FUNCTIONS[title][number][3]) for title, number in answers) / len(answers)

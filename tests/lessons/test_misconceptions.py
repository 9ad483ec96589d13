"""Every misconception that a lesson names is answered wrong by its holder, with a reason."""

import pytest

from qtha_lab.lessons import check, exercises, get
from qtha_lab.lessons.lesson_texts import LESSONS
from qtha_lab.lessons.object_graders import WrittenAnswer
from qtha_lab.lessons.predictions import PREDICTIONS

MISCONCEPTIONS = [named for lesson in LESSONS.values() for named in lesson.misconception]
ASKED = [named for named in MISCONCEPTIONS if named.question in PREDICTIONS]
GRADED = [named for named in MISCONCEPTIONS if named.question not in PREDICTIONS]


@pytest.mark.parametrize("named", ASKED, ids=lambda named: named.sentence)
def test_a_holder_predicts_an_option_that_is_wrong_and_has_a_reason(named):
    declared = PREDICTIONS[named.question]
    assert declared.misconceptions[named.answer]
    assert declared.answer != named.answer


@pytest.mark.parametrize("named", GRADED, ids=lambda named: named.sentence)
def test_a_holder_gives_a_declared_wrong_answer_and_gets_its_reason(named):
    exercise = get(named.question)
    if isinstance(exercise.grader, WrittenAnswer):  # a point of the rubric that the holder misses
        assert sum(named.answer in point for point in exercise.grader.rubric) == 1
        return
    ((code, why),) = [(code, why) for code, why in exercise.mistakes if named.answer in why]
    verdict = check(named.question, exercise.answer_of(code))
    assert (verdict.state, verdict.message) == ("wrong", why)


@pytest.mark.parametrize("lesson", range(12))
def test_every_lesson_but_the_last_names_a_misconception(lesson):
    assert LESSONS[lesson].misconception


def test_no_misconception_is_named_twice_and_each_question_exists():
    assert len({named.sentence for named in MISCONCEPTIONS}) == len(MISCONCEPTIONS)
    known = {e.number for e in exercises()} | set(PREDICTIONS)
    assert {named.question for named in MISCONCEPTIONS} <= known

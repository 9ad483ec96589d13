"""Declared mistakes of an exercise, alone, in pairs, and with a changed result."""

import functools
import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from qtha_lab.lessons import grading
from qtha_lab.lessons.registry import Exercise, get
from qtha_lab.lessons.value_facts import SCALED

log = logging.getLogger(__name__)
Results = list[np.ndarray]


def known_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return the reason of the declared mistake that has the same wrong values, if any."""
    if isinstance(exercise.grader, grading.Function):
        alone = ((_results_of(exercise.number, code), why) for code, why in exercise.mistakes)
        return _first(exercise, answer, alone)
    for mistake, sentence in exercise.mistakes:
        try:
            if exercise.grader.agrees(answer, exercise.answer_of(mistake)):
                return sentence
        except Exception as reason:  # the answer may be of any kind, so it is no known mistake
            log.debug("%s is not this mistake: %r", exercise.number, reason)
    return None


def combined_reason(exercise: Exercise, answer: Any) -> str | None:
    """Return the reasons of two faults that together have the same wrong values, if any."""
    if not isinstance(exercise.grader, grading.Function):
        return None
    sentence = _first(exercise, answer, _combinations(exercise))
    return f"two faults: {sentence}" if sentence else None


def _first(
    exercise: Exercise, answer: Any, mistakes: Iterator[tuple[Results | None, str]]
) -> str | None:
    """Return the sentence of the first mistake with the values of an answer."""
    grader = exercise.grader
    assert isinstance(grader, grading.Function)
    try:
        values = _results(grader, answer)
    except Exception as reason:  # the answer may raise anything
        log.debug("%s has no values: %r", exercise.number, reason)
        return None
    agreeing = (why for results, why in mistakes if results and _agree(grader, values, results))
    return next(agreeing, None)


def _results(grader: grading.Function, function: Any) -> Results:
    calls = (grading.call_on_copies(function, arguments) for arguments, _ in grader.cases)
    return [grading.as_array(result) for result in calls]


def _agree(grader: grading.Function, values: Results, others: Results) -> bool:
    pairs = list(zip(values, others, strict=True))
    return all(a.shape == b.shape and grader.is_close(a, b) for a, b in pairs)


def _combinations(exercise: Exercise) -> Iterator[tuple[Results | None, str]]:
    for code, reason in exercise.mistakes:
        results = _results_of(exercise.number, code)
        for sentence, change in SCALED if results else ():
            with np.errstate(all="ignore"):
                yield [np.asarray(change(y)) for y in results or ()], f"{reason}; and {sentence}"
    for (first, to, one), (second, by, other) in itertools.permutations(exercise.changes, 2):
        code = exercise.solution.replace(first.strip("\n"), to.strip("\n"))
        if code.count(second.strip("\n")) == 1:
            code = code.replace(second.strip("\n"), by.strip("\n"))
            yield _results_of(exercise.number, code), f"{one}; and {other}"


@functools.cache
def _results_of(number: str, code: str) -> Results | None:
    """Return the values of a mistake on every case; None after an error."""
    exercise = get(number)
    assert isinstance(exercise.grader, grading.Function)
    try:
        with np.errstate(all="ignore"):
            return _results(exercise.grader, exercise.answer_of(code))
    except Exception as reason:
        log.debug("%s: a mistake has no values: %r", number, reason)
        return None

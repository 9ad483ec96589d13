"""Checks of lesson 9: paired intervals, mean squares, and a registered plan."""

from typing import Any

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons import grading

VERDICTS = ("shown", "equivalent", "inconclusive")


def _gaps():
    from qtha_lab.studies.comparison.paired import paired_difference

    draws = np.random.default_rng(0)
    for seeds, rows in ((5, 40), (3, 12), (12, 6)):
        of_rows = draws.normal(size=rows)
        first = 0.3 * draws.normal(size=(seeds, 1)) + of_rows + draws.normal(size=(seeds, rows))
        second = of_rows * 0.5 + draws.normal(size=(seeds, rows))
        right = paired_difference(first, second)
        yield (first, second), (right.mean, right.low, right.high)
    # the mean square of these rows is below that of the residual
    first, second = np.random.default_rng(3).normal(size=(2, 4, 5))
    right = paired_difference(first, second)
    yield (first, second), (right.mean, right.low, right.high)


_interval = grading.Function(
    _gaps, label=lambda first, _: f"two tables of {first.shape[0]} seeds and {first.shape[1]} rows"
)


def _is_plan_with_runs(answer: Any) -> bool:
    from qtha_lab.lessons.preregistration import StudyPlan

    plan, runs, verdict = answer
    return isinstance(plan, StudyPlan) and len(list(runs)) > 0 and verdict in VERDICTS


def _refusal(answer: Any) -> str:
    from qtha_lab.lessons.preregistration import outcome

    try:
        outcome(answer[0], answer[1])
    except Refusal as refused:
        return str(refused)
    return ""


def _follows_plan(answer: Any) -> bool:
    return "newer than its plan" not in _refusal(answer)


def _is_complete(answer: Any) -> bool:
    return not _refusal(answer)


def _has_verdict(answer: Any) -> bool:
    from qtha_lab.lessons.preregistration import outcome

    return outcome(answer[0], answer[1]).verdict == answer[2]


def _table(seeds: int = 4, rows: int = 7):
    draws = np.random.default_rng(3)
    of_seeds, of_rows = draws.normal(size=(seeds, 1)), draws.normal(size=rows)
    return of_seeds + of_rows + 0.5 * draws.normal(size=(seeds, rows))


def _only_seeds(function):
    gaps = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    return function(gaps), (6.0, 0.0, 0.0), "two seeds that differ by 2, three equal rows"


def _only_rows(function):
    gaps = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    return function(gaps), (0.0, 1.5, 0.0), "three equal seeds, two rows that differ by 1"


def _both(function):
    gaps = _table()
    seeds, rows = gaps.shape
    by_seed, by_row = gaps.mean(1), gaps.mean(0)
    rest = gaps - by_seed[:, None] - by_row + gaps.mean()
    of_rest = (rest**2).sum() / ((seeds - 1) * (rows - 1))
    right = rows * by_seed.var(ddof=1), seeds * by_row.var(ddof=1), of_rest
    return function(gaps), right, "four seeds and seven rows"


def _against_package(function):
    from qtha_lab.studies.comparison.paired import errors

    gaps = _table(5, 30)
    seeds, rows = gaps.shape
    ms_seeds, ms_rows, ms_rest = function(gaps)
    parts = np.sqrt([ms_seeds / gaps.size, max(ms_rows - ms_rest, 0) / (seeds * rows)])
    return parts, [float(part) for part in errors(gaps)[1:]], "five seeds and thirty rows"

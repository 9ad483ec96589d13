"""Predictions and build of lesson 9: mean squares of a table of seeds and rows."""

import numpy as np

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "9.a",
    "Twenty seeds: does the interval of QTHA minus QTHA without its circuit exclude zero?",
    options=("yes", "no"),
    misconceptions={"yes": "the two differ by less than the seeds do"},
)
prediction(
    "9.b",
    "Nothing is there: five rates are tried for QTHA, one for LoRA, three seeds each. "
    "In which share of such studies does QTHA win, with its interval below zero?",
    number=True,
)


def _table(seeds: int = 4, rows: int = 7):
    draws = np.random.default_rng(3)
    of_seeds, of_rows = draws.normal(size=(seeds, 1)), draws.normal(size=rows)
    return of_seeds + of_rows + 0.5 * draws.normal(size=(seeds, rows))


def _right(gaps):
    seeds, rows = gaps.shape
    by_seed, by_row = gaps.mean(1), gaps.mean(0)
    rest = gaps - by_seed[:, None] - by_row + gaps.mean()
    of_rest = (rest**2).sum() / ((seeds - 1) * (rows - 1))
    return rows * by_seed.var(ddof=1), seeds * by_row.var(ddof=1), of_rest


def _only_seeds(function):
    gaps = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, 2.0]])
    return function(gaps), (6.0, 0.0, 0.0), "two seeds that differ by 2, three equal rows"


def _only_rows(function):
    gaps = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    return function(gaps), (0.0, 1.5, 0.0), "three equal seeds, two rows that differ by 1"


def _both(function):
    gaps = _table()
    return function(gaps), _right(gaps), "four seeds and seven rows"


def _against_package(function):
    from qtha_lab.studies.comparison.paired import errors

    gaps = _table(5, 30)
    seeds, rows = gaps.shape
    ms_seeds, ms_rows, ms_rest = function(gaps)
    parts = np.sqrt([ms_seeds / gaps.size, max(ms_rows - ms_rest, 0) / (seeds * rows)])
    return parts, [float(part) for part in errors(gaps)[1:]], "five seeds and thirty rows"


build_task(
    "9.squares",
    "mean_squares",
    steps=(
        ("equal rows leave the seeds alone", _only_seeds),
        ("equal seeds leave the rows alone", _only_rows),
        ("a random table has all three parts", _both),
        ("the standard errors equal the package's", _against_package),
    ),
    tolerance=1e-9,
    solution="""
        def mean_squares(gaps):
            (S, I), mean = gaps.shape, gaps.mean()
            by_seed, by_row = gaps.mean(1), gaps.mean(0)
            rest = gaps - by_seed[:, None] - by_row + mean
            ms_rest = (rest**2).sum() / ((S - 1) * (I - 1))
            return I * by_seed.var(ddof=1), S * by_row.var(ddof=1), ms_rest
    """,
    setup="import numpy as np",
)

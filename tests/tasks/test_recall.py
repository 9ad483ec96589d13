"""Random pairs: nothing predicts them, and what is evaluated was trained."""

import math
from collections import Counter

from support.refusals import refused

from qtha_lab import tasks
from qtha_lab.tasks.splits import Sides, memorised


def value_of(row):
    return row["messages"][1]["content"]


def test_every_evaluation_and_test_row_is_a_training_row():
    task = tasks.load_task("recall")
    trained = {row["key"] for row in task.train}
    assert len(task.train) == len(trained) == 1000
    assert {row["key"] for row in [*task.eval, *task.test]} < trained
    assert not {row["key"] for row in task.eval} & {row["key"] for row in task.test}


def test_few_training_rows_are_those_that_are_evaluated_first():
    task = tasks.load_task("recall", train_rows=20, eval_rows=10, test_rows=10)
    assert {row["key"] for row in task.eval} | {row["key"] for row in task.test} == {
        row["key"] for row in task.train
    }


def test_values_are_different_and_their_digits_uniform():
    rows = tasks.load_task("recall", pairs=4000, length=16).train
    values = [value_of(row) for row in rows]
    assert len(set(values)) == 4000
    assert {len(value) for value in values} == {16}
    counts = Counter("".join(values))
    expected = 4000 * 16 / 16
    # chi-squared of 15 degrees of freedom exceeds 37.7 once in a thousand times
    assert sum((n - expected) ** 2 / expected for n in counts.values()) < 37.7
    assert math.log2(len(counts)) == 4  # bits of a digit


def test_more_pairs_begin_with_the_same_ones():
    few, many = (
        {row["key"] for row in tasks.load_task("recall", pairs=n).train} for n in (800, 1200)
    )
    assert few < many


def test_too_few_pairs_are_refused():
    with refused("pairs", "10"):
        tasks.load_task("recall", pairs=10)


def test_the_order_of_memorised_rows_serves_both_sides():
    rows = [{"key": str(n)} for n in range(5)]
    sides = memorised(Sides(rows[:1], rows[1:4], rows[4:]))
    assert [row["key"] for row in sides.train] == ["1", "4", "2", "3", "0"]
    assert sides.evaluation == rows[1:4]

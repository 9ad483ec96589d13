"""Which rows are for training, which for evaluation and which for the test: a hash of the answer decides, no seed.

Holds the hash rules alone; it reads no data. The pools are fixed for ever, so a model pretrained without the
evaluation pool stays honest for every seed. The seed orders training and evaluation rows; test rows are the same, in
the same order, for every seed, so that runs can be compared row by row. Rates, steps and methods are chosen on
evaluation rows; test rows are looked at once, at the end of a run.
"""

import hashlib
import random
import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

EVALUATION_FRACTION = 0.2
TEST_FRACTION = 0.2
PRETRAINING_FRACTION = 0.7


def normalised(text: str) -> str:
    """Lower-case letters and digits only, so that case and punctuation cannot hide a repeated answer.

    Example:
        >>> normalised("It's  42!")
        'its42'
    """
    return re.sub(r"[\W_]+", "", text.lower())


def fraction_of(key: str, salt: str) -> float:
    """A number in [0, 1) that depends on nothing but the key and the salt."""
    digest = hashlib.sha256(f"{salt}:{normalised(key)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def in_evaluation_pool(key: str) -> bool:
    """Whether rows with this key (an answer, a headword, a thread) are only ever evaluated on."""
    return fraction_of(key, "evaluation") < EVALUATION_FRACTION


def in_pretraining_pool(key: str) -> bool:
    """Whether text with this key may be read by `data/pretrain_tiny.py`; such text is not shipped as a task."""
    return fraction_of(key, "pretraining") < PRETRAINING_FRACTION


def in_test_pool(key: str) -> bool:
    """Whether rows with this key are only ever tested on; none of them is in the evaluation pool.

    Example:
        >>> keys = [str(number) for number in range(1000)]
        >>> sum(in_test_pool(key) for key in keys), any(in_test_pool(key) and in_evaluation_pool(key) for key in keys)
        (190, False)
    """
    return (
        EVALUATION_FRACTION <= fraction_of(key, "evaluation") < EVALUATION_FRACTION + TEST_FRACTION
    )


class Sides(NamedTuple):
    """Rows of a task, apart."""

    train: list[dict]
    evaluation: list[dict]
    test: list[dict]


def split(rows: Iterable[dict], key: Callable[[dict], str], seed: int) -> Sides:
    """Training, evaluation and test rows.

    Args:
        rows: Rows of a task, in the order of their file.
        key: What may not stand on two sides: the answer, the headword, the thread.
        seed: Order of training and of evaluation rows; never of test rows, and never which pool.
    """
    rows = list(rows)
    pools = {k: _pool(k) for k in {key(row) for row in rows}}
    sides = Sides([], [], [])
    for row in rows:
        sides[pools[key(row)]].append(row)
    return ordered(sides, key, seed)


def ordered(sides: Sides, key: Callable[[dict], str], seed: int) -> Sides:
    """The same rows: training and evaluation shuffled by the seed, the test always in one order.

    Args:
        sides: Rows, apart.
        key: Orders the test rows by its hash; rows of one key stay together.
        seed: Of the two shuffles.
    """
    train, evaluation = list(sides.train), list(sides.evaluation)
    random.Random(seed).shuffle(train)
    random.Random(seed).shuffle(evaluation)
    return Sides(
        train, evaluation, sorted(sides.test, key=lambda row: fraction_of(key(row), "test"))
    )


def apart(sides: Sides, answers: Callable[[dict], frozenset[str]]) -> Sides:
    """Without evaluation rows that share an answer with the test, and training rows that share one with either.

    Args:
        sides: Rows, apart by their key; a short answer may still stand on two sides, as in small talk.
        answers: What may not stand on two sides: all answers of a row, or the row itself.
    """
    test = _all(sides.test, answers)
    evaluation = [row for row in sides.evaluation if not answers(row) & test]
    held_out = test | _all(evaluation, answers)
    return Sides(
        [row for row in sides.train if not answers(row) & held_out], evaluation, sides.test
    )


def _all(rows: list[dict], answers: Callable[[dict], frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*map(answers, rows))


def _pool(key: str) -> int:
    """The place in `Sides` of a key."""
    return 1 if in_evaluation_pool(key) else 2 if in_test_pool(key) else 0

"""Split rows into training, evaluation and test rows by a hash of their split key.

Reads no data. The pools do not depend on a seed, so no seed trains on evaluation or test rows of
another seed. The seed orders training and evaluation rows. Test rows and their order are the same
for every seed, so that runs can be compared row by row. Rates, steps and methods are chosen on
evaluation rows. Test rows are evaluated once, at the end of a run.
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import NamedTuple

EVALUATION_FRACTION = 0.2
TEST_FRACTION = 0.2
PRETRAINING_FRACTION = 0.7


def normalised(text: str) -> str:
    """Reduce a text to lower-case letters and digits.

    So case and punctuation cannot hide a repeated answer.

    Example:
        >>> normalised("It's  42!")
        'its42'
    """
    return re.sub(r"[\W_]+", "", text.lower())


def fraction_of(key: str, salt: str) -> float:
    """Compute a number in [0, 1) from a hash of key and salt."""
    digest = hashlib.sha256(f"{salt}:{normalised(key)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def in_evaluation_pool(key: str) -> bool:
    """Return True if rows with this key belong to the evaluation pool.

    A key is an answer, a headword or a thread.
    """
    return fraction_of(key, "evaluation") < EVALUATION_FRACTION


def in_pretraining_pool(key: str) -> bool:
    """Return True if text with this key may be read by `data/pretrain_tiny.py`.

    Such text is not shipped as a task.
    """
    return fraction_of(key, "pretraining") < PRETRAINING_FRACTION


def in_test_pool(key: str) -> bool:
    """Return True if rows with this key belong to the test pool.

    Test pool and evaluation pool are disjoint.

    Example:
        >>> keys = [str(number) for number in range(1000)]
        >>> test = [key for key in keys if in_test_pool(key)]
        >>> len(test), any(map(in_evaluation_pool, test))
        (190, False)
    """
    return (
        EVALUATION_FRACTION <= fraction_of(key, "evaluation") < EVALUATION_FRACTION + TEST_FRACTION
    )


class Sides(NamedTuple):
    """Training, evaluation and test rows of a task."""

    train: list[dict]
    evaluation: list[dict]
    test: list[dict]


def memorised(sides: Sides) -> Sides:
    """Move evaluation and test rows, alternately, to the start of the training rows.

    Example:
        >>> [row["key"] for row in memorised(Sides([{"key": 1}], [{"key": 2}], [{"key": 3}])).train]
        [2, 3, 1]
    """
    held_out = (row for pair in zip_longest(sides.evaluation, sides.test) for row in pair if row)
    return sides._replace(train=[*held_out, *sides.train])


def split(
    rows: Iterable[dict],
    key: Callable[[dict], str],
    seed: int,
    labels: Callable[[dict], frozenset[str]] | None = None,
) -> Sides:
    """Split rows into training, evaluation and test rows.

    Args:
        rows: Rows of a task, in the order of their file.
        key: Part of a row that stands on one side only: the answer, the prompt, the thread.
        seed: Order of training and evaluation rows; neither the test rows nor the sides depend on
            it.
        labels: Labels of a row that should stand on every side; None splits by the hash alone.
    """
    rows = list(rows)
    sides = {k: _side(k) for k in {key(row) for row in rows}}
    if labels is not None:
        by_key: dict[str, frozenset[str]] = {}
        for row in rows:
            by_key[key(row)] = by_key.get(key(row), frozenset([""])) | labels(row)
        sides = cover(sides, by_key)
    parts = Sides([], [], [])
    for row in rows:
        parts[sides[key(row)]].append(row)
    return ordered(parts, key, seed)


def cover(sides: dict[str, int], labels: dict[str, frozenset[str]]) -> dict[str, int]:
    """Move keys until each label of three or more keys is on every side.

    A key moves only where each of its labels stays on its old side. The order of the keys does not
    matter.

    Example:
        >>> sides = cover({"a": 0, "b": 0, "c": 0}, {k: frozenset(["good"]) for k in "abc"})
        >>> sorted(sides.values())
        [0, 1, 2]
    """
    sides = dict(sides)
    counts = [Counter[str](), Counter[str](), Counter[str]()]
    keys: dict[str, list[str]] = {}
    for key in sorted(sides, key=lambda each: (fraction_of(each, "side"), each)):
        counts[sides[key]].update(labels[key])
        for label in labels[key]:
            keys.setdefault(label, []).append(key)
    for label in sorted(keys, key=lambda each: (len(keys[each]), each)):
        for side in range(len(counts)):
            if counts[side][label]:
                continue
            movable = [k for k in keys[label] if all(counts[sides[k]][of] > 1 for of in labels[k])]
            if not movable:
                break
            key = max(movable, key=lambda each: counts[sides[each]][label])
            counts[sides[key]].subtract(labels[key])
            counts[side].update(labels[key])
            sides[key] = side
    return sides


def first_rows(
    rows: list[dict], count: int | None, labels: Callable[[dict], frozenset[str]]
) -> list[dict]:
    """Return the first rows, with every label among them if possible.

    A row with a missing label replaces a row with a repeated label near the end.

    Example:
        >>> rows = [{"label": label} for label in "aaab"]
        >>> [row["label"] for row in first_rows(rows, 2, lambda row: frozenset(row["label"]))]
        ['a', 'b']
    """
    if count is None or count >= len(rows):
        return rows
    chosen = rows[:count]
    counts = Counter(label for row in chosen for label in labels(row))
    for row in rows[count:]:
        if all(counts[label] for label in labels(row)):
            continue
        places = (
            p for p in reversed(range(count)) if all(counts[x] > 1 for x in labels(chosen[p]))
        )
        if (place := next(places, None)) is None:
            break
        counts.subtract(labels(chosen[place]))
        counts.update(labels(row))
        chosen[place] = row
    return chosen


def ordered(sides: Sides, key: Callable[[dict], str], seed: int) -> Sides:
    """Shuffle training and evaluation rows by the seed, and order test rows by hash.

    Args:
        sides: Rows by side.
        key: Split key of a row; its hash orders the test rows, and rows of equal key stay together.
        seed: Seed of the two shuffles.
    """
    train, evaluation = list(sides.train), list(sides.evaluation)
    random.Random(seed).shuffle(train)
    random.Random(seed).shuffle(evaluation)
    return Sides(
        train, evaluation, sorted(sides.test, key=lambda row: fraction_of(key(row), "test"))
    )


def apart(sides: Sides, answers: Callable[[dict], frozenset[str]]) -> Sides:
    """Remove rows that share an answer with a side held out from them.

    Evaluation rows share no answer with the test; training rows share none with evaluation or test.

    Args:
        sides: Rows, already split by key; a short answer may still occur on two sides.
        answers: Texts that may be on one side only: all answers of a row, or the row itself.
    """
    test = _all(sides.test, answers)
    evaluation = [row for row in sides.evaluation if not answers(row) & test]
    held_out = test | _all(evaluation, answers)
    return Sides(
        [row for row in sides.train if not answers(row) & held_out], evaluation, sides.test
    )


def _all(rows: list[dict], answers: Callable[[dict], frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*map(answers, rows))


def _side(key: str) -> int:
    """Return the index in `Sides` of a key."""
    return 1 if in_evaluation_pool(key) else 2 if in_test_pool(key) else 0

"""True sentences about wrong values of a function, beside the right ones.

A sentence holds on every case: about shapes and orders, a constant factor or difference, and
single entries.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

MOST_ENTRIES = 8
Values = Sequence[np.ndarray]
Close = Callable[[np.ndarray, np.ndarray], bool]
OfResult = Callable[[np.ndarray], np.ndarray]
SCALED: tuple[tuple[str, OfResult], ...] = (
    ("the sign is reversed", lambda y: -y),
    ("it is twice as large as it should be", lambda y: 2 * y),
    ("it is half as large as it should be", lambda y: y / 2),
)
RESULTS: tuple[tuple[str, OfResult], ...] = (
    *SCALED,
    ("it is the square of the right value: did you forget a square root?", lambda y: y**2),
    ("it is the square root of the right value: a square is missing", np.sqrt),
    ("it is one minus the right value", lambda y: 1 - y),
    ("it is the reciprocal of the right value", lambda y: 1 / y),
    ("it is the right value in per cent", lambda y: 100 * y),
    ("it is larger than the right value by one", lambda y: y + 1),
    ("it is smaller than the right value by one", lambda y: y - 1),
    ("it is the absolute value: the sign is lost", np.abs),
)
"""Sentence and change of the right result; each is a fact about the values."""
FACTORS = {
    "4": 4.0,
    "¼": 0.25,
    "√2": math.sqrt(2),
    "1/√2": math.sqrt(0.5),
    "π": math.pi,
    "π/2": math.pi / 2,
    "2/π": 2 / math.pi,
    "1/π": 1 / math.pi,
}
REDUCTIONS = {
    "the sum": np.sum,
    "the mean": np.mean,
    "the largest": np.max,
    "the norm": np.linalg.norm,
    "the first": lambda y: y.flat[0],
    "the last": lambda y: y.flat[-1],
}

PARTS = {
    "its first entry is missing, and the others are right": slice(1, None),
    "its last entry is missing, and the others are right": slice(-1),
    "only its first entry is returned": slice(1),
    "only its last entry is returned": slice(-1, None),
}


def value_facts(values: Values, rights: Values, close: Close) -> Iterator[str]:
    """Yield sentences about the values.

    Args:
        values: Wrong values of each case.
        rights: Right values of each case.
        close: Compares two arrays within the tolerances.

    Example:
        >>> rights = [np.array(2.0), np.array(3.0)]
        >>> next(value_facts([8 * right for right in rights], rights, np.allclose))
        'it is 8 times the right value in every case'
    """
    if [v.shape for v in values] != [r.shape for r in rights]:
        yield from _of_shapes(values, rights, close)
        return
    if not all(np.isfinite(v).all() for v in values):
        yield "it is not a finite number in some case: is there a division by zero or log 0?"
        return
    yield from _of_scale(values, rights, close)
    yield from _of_order(values, rights, close)
    yield from _of_entries(values, rights, close)


def _all(one: Values, other: Values, close: Close) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a.shape == b.shape for a, b in pairs) and all(close(a, b) for a, b in pairs)


def _of_shapes(values: Values, rights: Values, close: Close) -> Iterator[str]:
    if _all([v.ravel() for v in values], [r.ravel() for r in rights], close):
        yield (
            f"its values are right, and their shape {values[0].shape} is not: "
            f"{rights[0].shape} is asked for"
        )
    for name, reduce in REDUCTIONS.items():
        if _all(values, [np.array(reduce(right)) for right in rights], close):
            yield f"it is one number, {name} of the right entries"
    if all(right.ndim == 0 and value.size > 1 for value, right in zip(values, rights, strict=True)):
        yield f"it is {values[0].size} numbers, where one is asked for"
    yield from _of_parts(values, rights, close)


def _of_parts(values: Values, rights: Values, close: Close) -> Iterator[str]:
    count = rights[0].size
    if all(right.shape == (count,) for right in rights) and count <= MOST_ENTRIES:
        for missing in _subsets(count):
            if _all(values, [np.delete(right, missing) for right in rights], close):
                yield f"{_named(missing)} missing, and the others are right"
    for words, part in PARTS.items() if all(right.ndim == 1 for right in rights) else ():
        if _all(values, [right[part] for right in rights], close):
            yield words


def _subsets(count: int) -> Iterator[list[int]]:
    for size in range(1, count):
        yield from map(list, itertools.combinations(range(count), size))


def _named(places: Sequence[int]) -> str:
    numbers = ", ".join(str(place + 1) for place in places)
    return f"entry {numbers} is" if len(places) == 1 else f"entries {numbers} are"


def _scale_of(values: Values, rights: Values, close: Close) -> str:
    """Return a constant factor or difference as a sentence; empty if there is none."""
    return next(_of_scale(values, rights, close), "")


def _of_scale(values: Values, rights: Values, close: Close) -> Iterator[str]:
    flat, right = (np.concatenate([a.ravel() for a in arrays]) for arrays in (values, rights))
    if close(flat, np.zeros_like(flat)):
        yield "it is zero in every case"
        return
    if np.unique(np.round(right[right != 0], 6)).size < 2:
        return
    factor = float(flat @ right / (right @ right))
    if close(flat, factor * right):
        near = [name for name, exact in FACTORS.items() if np.isclose(factor, exact, rtol=1e-4)]
        yield f"it is {near[0] if near else f'{factor:.4g}'} times the right value in every case"
    gap = float(np.mean(flat - right))
    if close(flat, right + gap):
        word = "larger" if gap > 0 else "smaller"
        yield f"it is {word} than the right value by {abs(gap):.4g} in every case"


def _of_order(values: Values, rights: Values, close: Close) -> Iterator[str]:
    count, depth = rights[0].size, rights[0].ndim
    if all(right.shape == (count,) for right in rights) and 1 < count <= MOST_ENTRIES - 2:
        for order in itertools.permutations(range(count)):
            if _all(values, [right[list(order)] for right in rights], close):
                numbers = ", ".join(str(place + 1) for place in order)
                yield f"its entries are right, in another order: {numbers}"
    if depth > 1 and all(right.ndim == depth for right in rights):
        for axes in itertools.permutations(range(depth)):
            if _all(values, [right.transpose(axes) for right in rights], close):
                yield f"its axes are in another order: {', '.join(map(str, axes))}"


def _of_entries(values: Values, rights: Values, close: Close) -> Iterator[str]:
    count = rights[0].size
    if any(right.shape != (count,) for right in rights) or not 1 < count <= MOST_ENTRIES:
        return
    ours, right = np.stack(values), np.stack(rights)
    wrong = [k for k in range(count) if not close(ours[:, k], right[:, k])]
    if not wrong or len(wrong) == count:
        return
    ours, right = ours[:, wrong], right[:, wrong]
    with np.errstate(all="ignore"):
        of_all = [sentence for sentence, change in RESULTS if close(ours, change(right))]
    if sentence := next(iter(of_all), _scale_of([ours], [right], close)):
        yield f"{_named(wrong)} wrong, and the others are right: {sentence}"

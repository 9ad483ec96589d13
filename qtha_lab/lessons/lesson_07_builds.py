"""Predictions and builds of lesson 7: expected best of some trials, and successive halving."""

import numpy as np

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "7.a",
    "Chat task, learning rate 0.03 for both: which method has the lower test loss?",
    options=("LoRA, r = 8", "QTHA"),
    misconceptions={"LoRA, r = 8": "0.03 is far above the rate that suits it"},
)
prediction(
    "7.b",
    "Each method at its own rate: QTHA's test loss minus LoRA's, in nats?",
    number=True,
)
prediction(
    "7.c",
    "Two methods, five rates, one seed: how many runs has the sweep?",
    number=True,
)
prediction(
    "7.d",
    "Will the two methods be best at the same rate?",
    options=("yes", "no"),
)

POOL = [4.3, 4.1, 4.6, 4.2, 5.0]


def _one(function):
    return function(POOL, 1), float(np.mean(POOL)), "five losses, k = 1"


def _two(function):
    return function([3.0, 1.0], 2), 1.5, "the losses 3 and 1, k = 2"


def _all(function):
    from qtha_lab.studies.comparison.trial_statistics import budget

    right = budget(POOL)
    assert right is not None
    return [function(POOL, k) for k in range(1, 6)], right.expected, "five losses, k = 1 to 5"


build_task(
    "7.best",
    "expected_best",
    steps=(
        ("one draw has the mean of the pool", _one),
        ("of two draws one in four is twice the worse", _two),
        ("it equals the package for every k", _all),
    ),
    tolerance=1e-9,
    solution="""
        def expected_best(losses, k):
            ordered, n = np.sort(losses), len(losses)
            beyond = 1 - np.arange(n + 1) / n  # probability that a draw is none of the i best
            return float((beyond[:-1] ** k - beyond[1:] ** k) @ ordered)
    """,
    setup="import numpy as np",
)

RATES = [0.001, 0.003, 0.01, 0.03]


class _Trials:
    """Loss of a rate after some steps, with a record of all calls."""

    def __init__(self):
        self.calls: list[tuple[float, int]] = []

    def __call__(self, rate: float, steps: int) -> float:
        self.calls.append((rate, steps))
        return abs(np.log10(rate / 0.01)) + 1 / steps


def _winner(function):
    return function(_Trials(), RATES, 10), 0.01, "four rates, 10 steps in the first round"


def _rounds(function):
    trials = _Trials()
    function(trials, RATES, 10)
    counts = [sum(steps == s for _, steps in trials.calls) for s in (10, 20)]
    return counts, [4, 2], "numbers of evaluations with 10 and with 20 steps"


def _odd(function):
    return function(_Trials(), [*RATES, 0.1], 5), 0.01, "five rates"


build_task(
    "7.halving",
    "halving",
    steps=(
        ("it returns the best rate", _winner),
        ("each round evaluates half of the rates, with twice the steps", _rounds),
        ("an odd number of rates works", _odd),
    ),
    solution="""
        def halving(loss_at, rates, steps):
            while len(rates) > 1:
                losses = {rate: loss_at(rate, steps) for rate in rates}
                kept = sorted(losses, key=losses.get)
                rates, steps = kept[: len(kept) // 2], 2 * steps
            return rates[0]
    """,
)

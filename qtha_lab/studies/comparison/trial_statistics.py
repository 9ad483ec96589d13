"""Runs as trials of settings: what a number of them would find, and what of the settings explains the results.

Numbers in and out; a trial is a point in the settings, its value the mean over its seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.best_of_trials import Budget
from qtha_lab.figures.importance import Share
from qtha_lab.studies.comparison.run_values import (
    OF_NO_EFFECT,
    RunValues,
    differing,
    short_labels,
)

LEAST_TRIALS = 12
TRIALS_PER_SETTING = 5
BAND = (0.1, 0.9)
DRAWS = 30
INTERVAL = (0.05, 0.95)
FAR = 12


class Trial(NamedTuple):
    """A point in the settings of a method and the mean over its seeds; infinite where a run diverged."""

    settings: dict[str, Any]
    value: float
    runs: tuple[str, ...]


def trials_of(rows: Sequence[RunValues], measure: str) -> list[Trial]:
    """The trials among runs, in the order in which they were begun; those not ended are left out.

    Args:
        rows: Of one method.
        measure: What the value is.
    """
    points: dict[str, list[RunValues]] = {}
    for row in sorted(rows, key=lambda row: row.id):
        settings = {n: v for n, v in row.settings.items() if n not in OF_NO_EFFECT}
        points.setdefault(repr(sorted(settings.items(), key=str)), []).append(row)
    worst = math.inf if MEASURES[measure].better == "lower" else -math.inf
    trials = []
    for members in points.values():
        if any(row.state not in ("finished", "diverged") for row in members):
            continue
        values = [row.measures.get(measure, worst) for row in members]
        if any(row.state == "finished" and measure not in row.measures for row in members):
            continue
        ids = tuple(row.id for row in members)
        trials.append(Trial(members[0].settings, float(np.mean(values)), ids))
    return trials


def contenders(rows: Sequence[RunValues]) -> dict[str, list[RunValues]]:
    """Group runs by what is tuned by itself: a control of a method is no trial of the method.

    In a comparison each of its methods is one, with all options but the learning rate; elsewhere a
    method or one of its controls, whose other settings are its trials.
    """
    compared = {row.id: row for row in rows if is_compared(row)}
    names = short_labels([*compared.values()], ["learning_rate"]) if compared else {}
    groups: dict[str, list[RunValues]] = {}
    for row in rows:
        name = names.get(row.id) or calls.call(row.method, control_in(row))
        groups.setdefault(name, []).append(row)
    return groups


def is_compared(row: RunValues) -> bool:
    """Tell whether a run is one of a comparison's own, which differ by method, learning rate and seed."""
    folder = row.run.path.parent
    return folder.name == "runs" and (folder.parent / "comparison.yaml").is_file()


def control_in(row: RunValues) -> dict[str, Any]:
    """Return the options that make a run a control of its method; none of the method itself."""
    from qtha_lab import adapters

    if row.method not in adapters.method_names():
        return {}
    matching = [
        control.options
        for control in adapters.get_method(row.method).controls
        if all(
            name in row.settings and row.settings[name] == v for name, v in control.options.items()
        )
    ]
    return dict(max(matching, key=len, default={}))


def are_tuned(rows: Sequence[RunValues]) -> bool:
    """Tell whether some contender was run at several points of its settings."""
    return any(len(differing(members)) > 0 for members in contenders(rows).values())


def budget(values: Sequence[float], lower_is_better: bool = True) -> Budget | None:
    """The best of k trials drawn with replacement from these, for k from 1 to their number.

    A trial that diverged counts as the worst that did not.

    Args:
        values: One per trial, in the order in which they were run.
        lower_is_better: Whether a small value is the good one.

    Returns:
        The expectation, the ends of a band that holds four of five draws, and the best so far;
        None without a finite value.

    Example:
        >>> budget([3.0, 1.0]).expected  # of two draws one in four is twice the worse
        [2.0, 1.5]

    Source:
        Dodge et al. 2019, arXiv:1909.03004, equations 7 and 8 (with replacement, from the
        empirical distribution).
    """
    sign = 1.0 if lower_is_better else -1.0
    costs = sign * np.asarray(values, dtype=float)
    finite = costs[np.isfinite(costs)]
    if not len(finite):
        return None
    costs = np.where(np.isfinite(costs), costs, finite.max())
    order, n = np.sort(costs), len(costs)
    beyond = (n - np.arange(n + 1)) / n  # the chance that a draw is none of the i best
    expected, low, high = [], [], []
    for k in range(1, n + 1):
        chance = beyond[:-1] ** k - beyond[1:] ** k  # that the best of k is the i-th
        expected.append(float(sign * (chance @ order)))
        reached = np.cumsum(chance)
        ends = [order[int(np.searchsorted(reached, share - 1e-12))] for share in BAND]
        low.append(float(min(sign * ends[0], sign * ends[1])))
        high.append(float(max(sign * ends[0], sign * ends[1])))
    so_far = [float(sign * cost) for cost in itertools.accumulate(costs, min)]
    return Budget(expected, low, high, so_far)


def enough(trials: int, settings: int) -> int:
    """How many trials more an importance of so many settings needs; 0 if none."""
    return max(0, max(LEAST_TRIALS, TRIALS_PER_SETTING * settings) - trials)


def importance(trials: Sequence[Trial], settings: Sequence[str]) -> dict[str, Share]:
    """The share of the variance that each setting explains, with a 90 % interval over draws of the trials.

    Trials that diverged count as the worst that did not. Settings whose values lie far apart are
    taken by their logarithm, so that each decade counts the same.

    Args:
        trials: Of one method.
        settings: Those that were varied.

    Raises:
        Refusal: If there are too few trials to say anything.

    Source:
        Hutter, Hoos and Leyton-Brown 2014 (fANOVA), as optuna's FanovaImportanceEvaluator computes
        it on scikit-learn's random forest; the interval is ours.
    """
    if missing := enough(len(trials), len(settings)):
        needed = len(trials) + missing
        count = f"{len(settings)} settings" if len(settings) > 1 else "1 setting"
        raise Refusal(
            f"too few trials: the importance of {count} needs at least {needed} that ended, not {len(trials)}"
        )
    values = np.array([trial.value for trial in trials])
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() == finite.max():
        raise Refusal("the trials came to the same result: there is nothing to explain")
    worst = finite.max() if np.isposinf(values).any() else finite.min()
    values = np.where(np.isfinite(values), values, worst)
    columns = {name: _column([trial.settings.get(name) for trial in trials]) for name in settings}
    random = np.random.default_rng(0)
    whole = _fanova(columns, values, list(range(len(trials))), 0)
    draws = [
        _fanova(columns, values, random.integers(0, len(trials), len(trials)).tolist(), seed)
        for seed in range(DRAWS)
    ]
    shares = {}
    for name in settings:
        low, high = np.quantile([draw[name] for draw in draws], INTERVAL)
        share = whole[name]
        shares[name] = Share(share, float(min(low, share)), float(max(high, share)))
    return dict(sorted(shares.items(), key=lambda item: -item[1].share))


def _column(values: Sequence[Any]) -> list[Any]:
    """The values of a setting as a forest takes them: numbers, logarithms where far apart, or words."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        return [str(value) for value in values]
    far = min(numbers) > 0 and max(numbers) >= FAR * min(numbers)
    return [math.log10(value) if far else float(value) for value in numbers]


def _fanova(
    columns: Mapping[str, list[Any]], values: np.ndarray, places: list[int], seed: int
) -> dict[str, float]:
    """The importances by optuna, of the trials at these places."""
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
    )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, BaseDistribution] = {
        name: CategoricalDistribution(sorted(set(column)))
        if isinstance(column[0], str)
        else FloatDistribution(min(column), max(column))
        for name, column in columns.items()
    }
    study = optuna.create_study()
    for place in places:
        params = {name: column[place] for name, column in columns.items()}
        value = float(values[place])
        trial = optuna.trial.create_trial(params=params, distributions=distributions, value=value)
        study.add_trial(trial)
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=32, seed=seed)
    return evaluator.evaluate(study, params=list(columns))

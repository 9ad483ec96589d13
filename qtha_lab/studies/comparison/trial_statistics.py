"""Statistics of tuning trials: best result by trial budget, and importance of settings.

A trial is a point in the settings; its value is the mean over its seeds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from qtha_lab.core import call_syntax
from qtha_lab.core.errors import Refusal
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.metrics import MEASURES
from qtha_lab.figures.best_of_trials import Budget
from qtha_lab.figures.setting_importance import Share
from qtha_lab.runs.table.columns import settings_in
from qtha_lab.runs.table.varied import OF_NO_EFFECT, short_labels, varied

if TYPE_CHECKING:
    import pandas

LEAST_TRIALS = 12
TRIALS_PER_SETTING = 5
BAND = (0.1, 0.9)
DRAWS = 30
INTERVAL = (0.05, 0.95)
FAR = 12


class Trial(NamedTuple):
    """Point in a method's settings with the mean over its seeds; infinite after divergence."""

    settings: dict[str, Any]
    value: float
    runs: tuple[str, ...]


def trials_of(table: pandas.DataFrame, measure: str) -> list[Trial]:
    """Return the ended trials among runs, in the order of their beginning."""
    settings = [name for name in settings_in(table) if name not in OF_NO_EFFECT]
    points = [repr(values) for values in table[settings].to_numpy().tolist()]
    worst = math.inf if MEASURES[measure].better == "lower" else -math.inf
    trials = []
    for _, members in table.groupby(points, sort=False):
        unknown = members[measure].isna()
        if not members["state"].isin(("finished", "diverged")).all():
            continue
        if (unknown & members["state"].eq("finished")).any():
            continue
        value = float(np.mean(members[measure].mask(unknown, worst).astype(float)))
        trials.append(Trial(members.iloc[0].to_dict(), value, tuple(members["run"])))
    return trials


def contenders(table: pandas.DataFrame) -> dict[str, pandas.DataFrame]:
    """Group runs by separately tuned contender; a control is no trial of its method.

    A comparison has one contender per method, with all options except the learning rate. Outside a
    comparison, a contender is a method or one of its controls, and all other settings vary between
    its trials.
    """
    names = short_labels(table[table["path"].map(_is_compared)], ["learning_rate"])
    labels = [
        names.get(row["run"]) or call_syntax.call(row["method"], control_in(row))
        for row in table.to_dict("records")
    ]
    return {str(name): members for name, members in table.groupby(labels, sort=False)}


def _is_compared(path: str) -> bool:
    folder = Path(path).parent
    return folder.name == "runs" and (folder.parent / "comparison.yaml").is_file()


def control_in(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that make a run a control; empty for the method itself."""
    from qtha_lab import adapters

    if values["method"] not in adapters.method_names():
        return {}
    matching = [
        control.options
        for control in adapters.get_method(values["method"]).controls
        if all(name in values and values[name] == v for name, v in control.options.items())
    ]
    return dict(max(matching, key=len, default={}))


def are_tuned(table: pandas.DataFrame) -> bool:
    """Return True if some contender was run with several settings."""
    return any(varied(members) for members in contenders(table).values())


def budget(values: Sequence[float], lower_is_better: bool = True) -> Budget | None:
    """Compute the best of k trials, drawn with replacement, for k to the trial count.

    A diverged trial counts as the worst finite one.

    Args:
        values: One value per trial, in the order in which they were run.
        lower_is_better: True if a small value is better.

    Returns:
        The expectation, the ends of a band with 80 % of the draws, and the best so far; None
        without a finite value.

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
    beyond = (n - np.arange(n + 1)) / n  # the probability that a draw is none of the i best
    expected, low, high = [], [], []
    for k in range(1, n + 1):
        chance = beyond[:-1] ** k - beyond[1:] ** k  # probability that the best of k is the i-th
        expected.append(float(sign * (chance @ order)))
        reached = np.cumsum(chance)
        ends = [order[int(np.searchsorted(reached, share - 1e-12))] for share in BAND]
        low.append(float(min(sign * ends[0], sign * ends[1])))
        high.append(float(max(sign * ends[0], sign * ends[1])))
    so_far = [float(sign * cost) for cost in itertools.accumulate(costs, min)]
    return Budget(expected, low, high, so_far)


def enough(trials: int, settings: int) -> int:
    """Return the number of further trials that the importance of settings needs."""
    return max(0, max(LEAST_TRIALS, TRIALS_PER_SETTING * settings) - trials)


def importance(trials: Sequence[Trial], settings: Sequence[str]) -> dict[str, Share]:
    """Return each setting's share of the variance, with a bootstrap 90 % interval.

    Diverged trials count as the worst finite one. Settings with a wide range are used on a
    logarithmic scale, so that each decade has equal weight.

    Raises:
        Refusal: If there are too few trials, or all results are equal.

    Source:
        Hutter, Hoos and Leyton-Brown 2014 (fANOVA), as optuna's FanovaImportanceEvaluator computes
        it on scikit-learn's random forest; the interval is ours.
    """
    if missing := enough(len(trials), len(settings)):
        needed = len(trials) + missing
        count = f"{len(settings)} settings" if len(settings) > 1 else "1 setting"
        raise Refusal(
            f"The importance of {count} must rest on at least {needed} finished trials, got "
            f"{len(trials)}."
        )
    require_extra("sweep", "The importance of settings", "optuna", "sklearn")
    values = np.array([trial.value for trial in trials])
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.min() == finite.max():
        raise Refusal(
            "Results of the trials must differ, got equal ones. There is nothing to explain."
        )
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
    """Convert the values of a setting for the forest.

    Mixed or text values become strings; positive numbers with a wide range become logarithms.
    """
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(numbers) < len(values):
        return [str(value) for value in values]
    far = min(numbers) > 0 and max(numbers) >= FAR * min(numbers)
    return [math.log10(value) if far else float(value) for value in numbers]


def _fanova(
    columns: Mapping[str, list[Any]], values: np.ndarray, places: list[int], seed: int
) -> dict[str, float]:
    """Compute the importances with Optuna from the trials at these indices."""
    import optuna
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
    )

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions: dict[str, BaseDistribution] = {
        name: (
            CategoricalDistribution(sorted(set(column)))
            if isinstance(column[0], str)
            else FloatDistribution(min(column), max(column))
        )
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

"""Findings on results over the settings of runs: learning rates, trials and their importance.

Those without a comparison take runs of any launch, and refuse runs that they cannot draw.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES, recorded
from qtha_lab.figures.best_of_trials import best_of_trials
from qtha_lab.figures.loss_against_rate import End, loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.parallel_coordinates import parallel_coordinates
from qtha_lab.figures.run_scatter import RunPoint, run_scatter
from qtha_lab.figures.seed_spread import seed_spread
from qtha_lab.figures.setting_importance import setting_importance
from qtha_lab.runs.table.columns import settings_in
from qtha_lab.runs.table.varied import short_labels, varied
from qtha_lab.studies.comparison import tuning
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.finding import Finding
from qtha_lab.studies.comparison.trial_statistics import (
    are_tuned,
    budget,
    contenders,
    importance,
    trials_of,
)

if TYPE_CHECKING:
    import pandas


def rates(compared: Compared) -> Finding:
    """Draw loss against learning rate, or the spread over the seeds at one rate."""
    by_family = tuning.rates(compared.frame)
    ends = {name: [*by.values()] for name, by in by_family.items() if len(by) == 1}
    if not ends or len(ends) < len(by_family):
        figure = loss_by_rate(compared)
    else:
        figure = seed_spread({name: [*filter(math.isfinite, of)] for name, (of,) in ends.items()})
    return Finding(compared.tuned, [figure], names=compared.names)


def trials(compared: Compared) -> Finding:
    """Draw the expected best result of a comparison against the number of trials."""
    if compared.comparison.tuning:
        trial, records = "a point on the axes of the tuning", compared.summary.get("contenders")
        tried = {
            record["method"]: [math.inf if loss is None else loss for loss in record["trials"]]
            for record in records or ()
        }
    else:
        trial, tried = "a learning rate", _tried_rates(compared.frame)
        if all(len(values) < 2 for values in tried.values()):
            raise Refusal("Methods were tried at one learning rate: there is no search to weigh.")
    sentence = f"A trial is {trial}; its value is the mean evaluation loss over its seeds."
    return Finding([sentence], [_best_of(tried)], names=compared.names)


def _tried_rates(runs: pandas.DataFrame) -> dict[str, list[float]]:
    """Return mean losses of the learning rates with most seeds, by method, in run order."""
    order = runs["learning_rate"].unique()
    tried = {}
    for name, by_rate in tuning.rates(runs).items():
        most = max(map(len, by_rate.values()))
        whole = {rate: values for rate, values in by_rate.items() if len(values) == most}
        tried[name] = [float(np.mean(whole[rate])) for rate in order if rate in whole]
    return tried


def tuned(compared: Compared) -> bool:
    """Return True if a method was run with several settings."""
    return are_tuned(compared.settings)


def tuned_rates(compared: Compared) -> bool:
    """Return True if a method was run at several learning rates."""
    tried = tuning.rates(compared.frame).values()
    return tuned(compared) and any(len(by_rate) > 1 for by_rate in tried)


def measures_of(table: pandas.DataFrame) -> list[str]:
    """Return the measures that some runs have, learning results first."""
    present = [name for name in MEASURES if table[name].notna().any()]
    learnt = ("eval_loss", *recorded("eval"), *recorded("generation"))
    return list(dict.fromkeys([*(name for name in learnt if name in present), *present]))


def loss_by_rate(compared: Compared, y: str = "eval_loss") -> Figure:
    """Draw each method's final measure against the learning rate."""
    if compared.chosen is None:
        runs = compared.frame.assign(label=compared.frame["family"])
    else:
        names = short_labels(compared.settings, ["learning_rate"])
        runs = compared.settings.assign(label=compared.settings["run"].map(names))
    runs = runs.dropna(subset="learning_rate")
    ended = runs[runs["state"].eq("diverged") | runs[y].notna()].assign(value=runs[y])
    if not len(ended):
        raise Refusal("The loss against the learning rate must have an ended run, got none.")
    ends = ended[[*End.__annotations__]].to_dict("records")
    return loss_against_rate(cast(list[End], ends), y)


def parallel(
    compared: Compared,
    axes: Sequence[str] = (),
    y: str = "eval_loss",
    brushed: Collection[str] = (),
) -> Figure:
    """Draw one line per run through settings, by default those that differ, to its result."""
    names = list(axes) or varied(compared.settings)
    if not names:
        raise Refusal(
            "The runs must differ in a setting other than the seed, got none. There is no axis "
            "to draw."
        )
    if not compared.settings[y].notna().any():
        raise Refusal(f"A run must have ended with a value of {y}, got none.")
    return parallel_coordinates(_points(compared), names, y, brushed)


def scatter(
    compared: Compared,
    x: str = "trainable_parameters",
    y: str = "eval_loss",
    log_x: bool = False,
    log_y: bool = False,
    brushed: Collection[str] = (),
) -> Figure:
    """Draw two measures or settings, with the Pareto-optimal runs; options as of `run_scatter`."""
    points = _points(compared)
    if not any(x in point["values"] and y in point["values"] for point in points):
        raise Refusal(f"A run must have both {x} and {y}, got none.")
    return run_scatter(points, x, y, log_x, log_y, brushed)


def best_of(compared: Compared, y: str = "eval_loss") -> Figure:
    """Draw the expected best result of each method against the number of trials."""
    trials = {name: trials_of(rows, y) for name, rows in contenders(compared.settings).items()}
    return _best_of({name: [t.value for t in of] for name, of in trials.items()}, y)


def _best_of(tried: Mapping[str, Sequence[float]], y: str = "eval_loss") -> Figure:
    """Draw the expected best of the values of each method."""
    lower = MEASURES[y].better == "lower"
    budgets = {name: curve for name, values in tried.items() if (curve := budget(values, lower))}
    if not budgets:
        raise Refusal(f"A trial must have ended with a value of {y}, got none.")
    return best_of_trials(budgets, y)


def importances(compared: Compared, y: str = "eval_loss") -> Figure:
    """Draw each setting's share of the variance of results, per method."""
    shares, counts, reasons = {}, {}, []
    for method, members in compared.settings.groupby("method", sort=False):
        of_method, settings = trials_of(members, y), varied(members)
        if not settings:
            reasons.append(f"{method}: no setting was varied")
            continue
        try:
            shares[method], counts[method] = importance(of_method, settings), len(of_method)
        except Refusal as refused:
            reasons.append(f"{method}: {refused}")
    if not shares:
        raise Refusal("; ".join(reasons))
    return setting_importance(shares, counts, y)


def _points(compared: Compared) -> list[RunPoint]:
    return points_of(compared.settings, compared.labels)


def points_of(table: pandas.DataFrame, labels: Mapping[str, str]) -> list[RunPoint]:
    """Return the settings and measures of runs as points of a figure."""
    values = table[[*settings_in(table), *MEASURES]].to_dict("records")
    return [
        RunPoint(id=run, label=labels[run], values={n: v for n, v in of.items() if v is not None})
        for run, of in zip(table["run"], values, strict=True)
    ]

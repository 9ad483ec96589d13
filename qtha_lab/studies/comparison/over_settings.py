"""Findings on results over the settings of runs: learning rates, trials and their importance.

Those without a comparison take runs of any launch, and refuse runs that they cannot draw.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

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

MOST_BANDS = 3


def rates(compared: Compared) -> Finding:
    """Draw loss against learning rate, or the spread over the seeds at one rate."""
    by_family = tuning.rates(compared.frame)
    if not by_family:
        return Finding(["No run has ended with an evaluation loss yet."])
    if all(len(by_rate) == 1 for by_rate in by_family.values()):
        chosen = ", ".join(f"{name} {next(iter(by_rate)):g}" for name, by_rate in by_family.items())
        ends = {
            name: [v for values in by_rate.values() for v in values if math.isfinite(v)]
            for name, by_rate in by_family.items()
        }
        sentence = _one_rate_sentence(compared, chosen)
        return Finding([sentence], [seed_spread(ends)], names=compared.names)
    sentence = tuning.rates_sentence(compared.frame) or ""
    return Finding([sentence], [loss_by_rate(compared)], names=compared.names)


def _one_rate_sentence(compared: Compared, chosen: str) -> str:
    if compared.comparison.tuning:
        return f"Each method ran at the rate of its best trial ({chosen}). Where the seeds ended:"
    if source := compared.comparison.rates_from:
        return (
            f"Not tuned here: each method ran at one learning rate ({chosen}), chosen in"
            f" {source}. Where the seeds ended:"
        )
    return (
        f"Not tuned: each method ran at one learning rate ({chosen}), so there is no curve, and"
        " at another rate the order may turn round. `learning_rates` or `tuning` in the"
        " comparison's file tries several. Where the seeds ended:"
    )


def trials(compared: Compared) -> Finding:
    """Draw the expected best result of a comparison against the number of trials."""
    if compared.comparison.tuning:
        of_methods = {
            record["method"]: [math.inf if loss is None else loss for loss in record["trials"]]
            for record in compared.summary.get("contenders") or ()
        }
        trial = "a point on the axes of the tuning"
        seeds = "the tuning's seeds"
    else:
        of_methods = _tried_rates(compared.frame)
        trial, seeds = "a learning rate", "its seeds"
        if all(len(values) < 2 for values in of_methods.values()):
            return Finding(
                [
                    "Each method was tried at one learning rate: there is no search whose length"
                    " could be weighed."
                ]
            )
    budgets = {name: of for name, values in of_methods.items() if (of := budget(values))}
    if not budgets:
        return Finding(["Every trial diverged: there is no best one."])
    sentence = f"A trial is {trial}; its value is the mean evaluation loss over {seeds}."
    figure = best_of_trials(budgets, bands=len(budgets) <= MOST_BANDS)
    return Finding([sentence], [figure], names=compared.names)


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
    ends = _ends_of_summary(compared, y) if compared.chosen is None else _ends_of_runs(compared, y)
    if not ends:
        raise Refusal("The loss against the learning rate must have an ended run, got none.")
    return loss_against_rate(ends, y)


def _ends_of_summary(compared: Compared, y: str) -> list[End]:
    runs = compared.frame.dropna(subset="learning_rate")
    ended = runs[runs["state"].eq("diverged") | runs[y].notna()]
    return [
        End(label=label, seed=seed, learning_rate=rate, value=value)
        for label, seed, rate, value in ended[["family", "seed", "learning_rate", y]].itertuples(
            index=False
        )
    ]


def _ends_of_runs(compared: Compared, y: str) -> list[End]:
    table = compared.settings
    names = short_labels(table, ["learning_rate"])
    ended = table[table["state"].eq("diverged") | table[y].notna()]
    return [
        End(label=names[run], seed=seed, learning_rate=rate, value=value)
        for run, seed, rate, value in ended[["run", "seed", "learning_rate", y]].to_numpy().tolist()
    ]


def parallel(
    compared: Compared,
    axes: Sequence[str] = (),
    y: str = "eval_loss",
    brushed: Collection[str] = (),
) -> Figure:
    """Draw one line per run through its differing settings to its result.

    Args:
        compared: Compared runs.
        axes: Settings; none takes those that differ.
        y: Result on the last axis.
        brushed: Ids of highlighted runs.
    """
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
    """Draw two measures or settings, with the Pareto-optimal runs.

    Args:
        compared: Compared runs.
        x: Measure or setting along the horizontal axis.
        y: Measure along the vertical axis.
        log_x: Use a logarithmic horizontal axis.
        log_y: Use a logarithmic vertical axis.
        brushed: Ids of highlighted runs.
    """
    points = _points(compared)
    if not any(x in point["values"] and y in point["values"] for point in points):
        raise Refusal(f"A run must have both {x} and {y}, got none.")
    return run_scatter(points, x, y, log_x, log_y, brushed)


def best_of(compared: Compared, y: str = "eval_loss") -> Figure:
    """Draw the expected best result of each method against the number of trials."""
    lower = MEASURES[y].better == "lower"
    budgets = {
        method: curve
        for method, rows in contenders(compared.settings).items()
        if (curve := budget([trial.value for trial in trials_of(rows, y)], lower))
    }
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

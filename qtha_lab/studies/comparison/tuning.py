"""Selection of the best learning rate per method, and rounding noise at these rates.

No choice uses the test rows, and no verdict the rounding noise. All functions except
`at_their_best` take the frame of runs of one model and task.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.description import name_in
from qtha_lab.runs.table.frame import family as family
from qtha_lab.runs.table.frame import results_frame

if TYPE_CHECKING:
    import pandas


def rates(runs: pandas.DataFrame) -> dict[str, dict[float, list[float]]]:
    """Return evaluation losses by label without learning rate, then by rate, ascending.

    A diverged run has infinite loss.
    """
    runs = results_frame(runs)
    losses = runs["eval_loss"].mask(runs["state"].eq("diverged"), math.inf)
    tried = runs[["family", "learning_rate"]].assign(loss=losses).dropna()
    by_rate: dict[str, dict[float, list[float]]] = {name: {} for name in tried["family"].unique()}
    in_order = tried.sort_values("learning_rate", kind="stable")
    for name, rate, loss in in_order.itertuples(index=False):
        by_rate[name].setdefault(rate, []).append(loss)
    return by_rate


def best_rates(runs: pandas.DataFrame) -> dict[str, float]:
    """Return the learning rate with the lowest mean evaluation loss, per method.

    Only learning rates with the most seeds are candidates.
    """
    best = {}
    for name, by_rate in rates(runs).items():
        most = max(map(len, by_rate.values()))
        means = {r: statistics.fmean(v) for r, v in by_rate.items() if len(v) == most}
        best[name] = min(means, key=means.__getitem__)
    return best


def at_their_best(runs: pandas.DataFrame) -> pandas.DataFrame:
    """Return finished runs at their method's best learning rate, per model and task."""
    return finished_at(best_rates, results_frame(runs))


def finished_at(
    chosen: Callable[[pandas.DataFrame], Mapping[str, float]], runs: pandas.DataFrame
) -> pandas.DataFrame:
    """Return finished runs at the chosen rate of their method, per model and task."""
    pairs = runs.groupby("model_task", sort=False)
    rates = {(pair, name): r for pair, of in pairs for name, r in chosen(of).items()}
    finished = runs[runs["state"].eq("finished")]
    places = zip(finished["model_task"], finished["family"], strict=True)
    is_chosen = [rates.get(p) == r for p, r in zip(places, finished["learning_rate"], strict=True)]
    return finished.loc[finished.index[is_chosen]]


def rates_sentence(runs: pandas.DataFrame) -> str | None:
    """State the selected learning rates, the number tried, and selections at a range end.

    Returns None if each method ran at one rate.
    """
    tried = {name: list(by_rate) for name, by_rate in rates(runs).items()}
    counts = {len(values) for values in tried.values()}
    if not counts or counts == {1}:
        return None
    best = best_rates(runs)
    chosen = ", ".join(f"{name} {best[name]:g}" for name in tried)
    among = f"{min(counts)} to {max(counts)}" if len(counts) > 1 else f"{min(counts)}"
    text = (
        f"Learning rates were chosen on evaluation rows, among {among} for each method: {chosen}."
    )
    if len(counts) > 1:
        text += " A method that is tried at more rates is favoured."
    at_end = [
        n for n, values in tried.items() if len(values) > 1 and best[n] in (values[0], values[-1])
    ]
    if at_end:
        text += f" At an end of what was tried, so perhaps not the best: {', '.join(at_end)}."
    return text


LEAST_REPEATS = 5


def at_best_rates(
    experiments: Sequence[Experiment], runs: Mapping[int, Mapping[str, Any]]
) -> list[Experiment]:
    """Return the experiments to repeat: finished runs at the best learning rates."""
    best = {*at_their_best(results_frame(runs.values()))["run_id"]}
    return [experiments[place] for place in sorted(runs) if runs[place]["run_id"] in best]


def repeats_of(repeats: pandas.DataFrame, runs: pandas.DataFrame) -> dict[str, pandas.DataFrame]:
    """Return the usable 1-ulp perturbation runs of each method.

    The keys are `name_in` of the method label without learning rate. A method needs at least five
    repeats.

    The repeats use the learning rate at which the method is compared. Older comparisons repeated
    the first rate of the file; for them the rate with most repeats counts.
    """
    repeats, runs = results_frame(repeats), results_frame(runs)
    places = ["model_task", "family"]
    best = at_their_best(runs).drop_duplicates(places).set_index(places)["learning_rate"].to_dict()
    pairs = {*runs["model_task"], *repeats["model_task"]}
    usable = repeats[repeats["state"].eq("finished") & repeats["test_loss"].notna()]
    chosen = {}
    for (pair, name), of in usable.groupby(places, sort=False):
        group = of[of["learning_rate"].eq(best.get((pair, name), 0.0))]
        if len(group) < LEAST_REPEATS:
            _, group = max(of.groupby("learning_rate", sort=False), key=lambda each: len(each[1]))
        if len(group) >= LEAST_REPEATS:
            chosen[name_in(name, pair, len(pairs))] = group
    return chosen


def noise_sentence(losses: Mapping[str, Sequence[float]], seeds: int) -> str | None:
    """State the largest effect of rounding noise on a difference; None without repeats.

    Example:
        >>> noise_sentence({"lora": [4.1, 4.1, 4.1, 4.1, 4.1001]}, seeds=5)
        'Rounding noise: 1-ulp perturbations change a difference by at most ±0.0001 nat (1 method).'
    """
    from scipy import special  # not where a page is opened

    if not losses or not seeds:
        return None
    widths = [
        -float(special.stdtrit(len(values) - 1, 0.025)) * statistics.stdev(values)
        for values in losses.values()
    ]
    methods = "1 method" if len(losses) == 1 else f"{len(losses)} methods"
    return (
        "Rounding noise: 1-ulp perturbations change a difference by at most "
        f"±{max(widths) * math.sqrt(2 / seeds):.4f} nat ({methods})."
    )

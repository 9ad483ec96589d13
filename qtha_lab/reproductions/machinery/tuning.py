"""Learning rates of the arms, with as many trials for each arm.

The rates are tried with seeds of their own, and chosen by the mean loss on evaluation rows.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.reproductions.machinery.registry import Reproduction
from qtha_lab.reproductions.machinery.run_arms import Arm, run_arms
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.neighbouring_rates import trial_sentence
from qtha_lab.studies.work import Work

FACTORS = (1 / 9, 1 / 3, 1.0, 3.0, 9.0)  # of the rate that an arm declares
SEEDS = (1000, 1001, 1002)  # of no claim


@dataclass(frozen=True)
class Tuned:
    """Learning rate of one arm, and the rates that were tried.

    Attributes:
        rate_factor: Factor of the declared rate with the lowest evaluation loss.
        rate: Learning rate at that factor.
        tried: Mean evaluation loss by learning rate; None where a run diverged.
        trials: Evaluation losses by seed for each rate, in the order of `tried`.
        seconds: Run time of the trials.
    """

    rate_factor: float
    rate: float
    tried: Mapping[float, float | None]
    trials: Sequence[Sequence[float | None]]
    seconds: float

    def plain(self) -> dict[str, Any]:
        """Return rate and trials as JSON data."""
        means = {"tried": [*self.tried], "eval_loss": [*self.tried.values()]}
        return {"rate": self.rate, **means, "seeds": [*SEEDS], "trials": self.trials}


def tune(of: Reproduction, work: Work, folder: Path) -> Generator[None, None, dict[str, Tuned]]:
    """Choose the learning rate of every arm; finished trials are not repeated.

    Args:
        of: Reproduction of the arms.
        work: Work of this process.
        folder: Folder of the trials' runs.

    Raises:
        Refusal: If a run was stopped or failed.
    """
    ended: dict[Arm, Run] = {}
    tuned: dict[str, Tuned] = {}
    # arms that read earlier ones read their best trials
    groups = [[name] for name in of.arms] if of.takes_earlier else [[*of.arms]]
    for names in groups:
        arms = [
            Arm(name, seed, False, factor) for seed in SEEDS for name in names for factor in FACTORS
        ]
        done = yield from run_arms(of, arms, work, folder, ended)
        for name in names:
            trials = {
                factor: [done[Arm(name, seed, False, factor)] for seed in SEEDS]
                for factor in FACTORS
            }
            tuned[name] = _tuned(trials)
            best = tuned[name].rate_factor
            ended |= {
                Arm(name, seed, False, best): run
                for seed, run in zip(SEEDS, trials[best], strict=True)
            }
    return tuned


def _tuned(trials: Mapping[float, Sequence[Run]]) -> Tuned:
    summaries = {factor: [run.summary or {} for run in runs] for factor, runs in trials.items()}
    losses = {factor: [s.get("eval_loss") for s in of] for factor, of in summaries.items()}
    means = {factor: _mean(values) for factor, values in losses.items()}
    best = best_factor(means)
    rates = {factor: _rate(runs[0]) for factor, runs in trials.items()}
    tried = {rates[factor]: loss for factor, loss in means.items()}
    seconds = sum(s.get("wall_seconds") or 0.0 for of in summaries.values() for s in of)
    return Tuned(best, rates[best], tried, [*losses.values()], seconds)


def _mean(losses: Sequence[float | None]) -> float | None:
    """Return the mean loss over the seeds; None where one diverged."""
    known = [loss for loss in losses if loss is not None]
    return statistics.fmean(known) if len(known) == len(losses) else None


def _rate(run: Run) -> float:
    """Return the learning rate of a trial, recorded or declared."""
    recorded = (run.summary or {}).get("learning_rate")
    return float(recorded or run.experiment.method.peak_learning_rate)


def best_factor(losses: Mapping[float, float | None]) -> float:
    """Return the factor with the lowest loss; the first one if all diverged.

    Example:
        >>> best_factor({0.3: 4.2, 1.0: 4.1, 3.0: None})
        1.0
    """
    known = {factor: math.inf if loss is None else loss for factor, loss in losses.items()}
    return min(known, key=lambda factor: known[factor])


def trial_sentences(tuned: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Name the arms whose second-best rate is within the noise of the trials."""
    sentences = []
    for arm, of in tuned.items():
        by_rate = zip(of["tried"], of.get("trials") or (), strict=False)
        losses = {rate: dict(enumerate(each)) for rate, each in by_rate if None not in each}
        sentences.append(trial_sentence(arm, of["rate"], losses))
    return [sentence for sentence in sentences if sentence]


def runs_of_today(tuned: Mapping[str, Mapping[str, Any]], seeds: int) -> float:
    """Return the number of runs with today's trial seeds, per recorded run.

    Example:
        >>> one_trial_seed = {"a": {"tried": [0.001, 0.003, 0.01, 0.03, 0.09]}}
        >>> runs_of_today(one_trial_seed, seeds=5)  # (5 · 3 + 5) / (5 · 1 + 5)
        2.0
    """
    counts = [(len(of["tried"]), n_trial_seeds(of)) for of in tuned.values()]
    recorded = sum(rates * trial_seeds + seeds for rates, trial_seeds in counts)
    today = sum(rates * len(SEEDS) + seeds for rates, _ in counts)
    return today / recorded if recorded else 1.0


def n_trial_seeds(of: Mapping[str, Any]) -> int:
    """Return the number of trial seeds of an arm's record; one where none is listed."""
    return len(of.get("seeds") or [SEEDS[0]])


def recorded_factor(tuned: Mapping[str, Any] | None) -> float:
    """Return the rate factor of an arm from its recorded trials; 1 without trials.

    The middle of the rates that were tried is the declared one.

    Example:
        >>> recorded_factor({"rate": 0.03, "tried": [0.00111, 0.00333, 0.01, 0.03, 0.09]})
        3.0
    """
    if tuned is None:
        return 1.0
    tried = sorted(tuned["tried"])
    return tuned["rate"] / tried[len(tried) // 2]

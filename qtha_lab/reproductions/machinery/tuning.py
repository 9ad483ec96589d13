"""Learning rates of fine-tuned arms, with as many trials for each arm.

The rates are tried with a seed of their own, and chosen by the loss on evaluation rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.reproductions.machinery.registry import Reproduction
from qtha_lab.reproductions.machinery.run_fine_tunes import (
    Arm,
    Progress,
    experiment_of,
    fine_tune,
)
from qtha_lab.runs.run import Run

FACTORS = (1 / 3, 1.0, 3.0)  # of the rate that an arm declares
SEED = 1000  # of no claim


@dataclass(frozen=True)
class Tuned:
    """Learning rate of one arm, and the rates that were tried.

    Attributes:
        rate: Rate with the lowest evaluation loss.
        tried: Evaluation loss in nats by learning rate; None for a run that diverged.
        seconds: Run time of the trials.
    """

    rate: float
    tried: Mapping[float, float | None]
    seconds: float

    def plain(self) -> dict[str, Any]:
        """Return rate and trials as JSON data."""
        return {"rate": self.rate, "tried": [*self.tried], "eval_loss": [*self.tried.values()]}


def tune(of: Reproduction, folder: Path, on_progress: Progress) -> dict[str, Tuned]:
    """Choose the learning rate of every arm; finished trials are not repeated.

    Args:
        of: Reproduction whose arms are fine-tunes.
        folder: Folder of the trials' runs.
        on_progress: Called with each run and its status.

    Raises:
        Refusal: If a run was stopped or failed.
    """
    ended: dict[Arm, Run] = {}
    tuned: dict[str, Tuned] = {}
    # arms that read earlier ones read their best trials
    groups = [[name] for name in of.arms] if of.takes_earlier else [[*of.arms]]
    for names in groups:
        arms = [arm for name in names for arm in _trials(of, name, ended)]
        done = fine_tune(of, arms, folder, on_progress, ended)
        for name in names:
            trials = {arm: run for arm, run in done.items() if arm.name == name}
            tuned[name] = _tuned(trials)
            ended |= {arm: run for arm, run in trials.items() if arm.rate == tuned[name].rate}
    return tuned


def _trials(of: Reproduction, name: str, ended: Mapping[Arm, Run]) -> list[Arm]:
    declared = experiment_of(of, Arm(name, SEED, False), ended).method.peak_learning_rate
    return [Arm(name, SEED, False, float(f"{factor * declared:.3g}")) for factor in FACTORS]


def _tuned(trials: Mapping[Arm, Run]) -> Tuned:
    summaries = {arm.rate or 0.0: run.summary or {} for arm, run in trials.items()}
    tried = {rate: summary.get("eval_loss") for rate, summary in summaries.items()}
    seconds = sum(summary.get("wall_seconds") or 0.0 for summary in summaries.values())
    return Tuned(best_rate(tried), tried, seconds)


def best_rate(tried: Mapping[float, float | None]) -> float:
    """Return the learning rate with the lowest loss; the first one if all diverged.

    Example:
        >>> best_rate({0.003: 4.2, 0.01: 4.1, 0.03: None})
        0.01
    """
    losses: Sequence[tuple[float, float]] = [
        (rate, math.inf if loss is None else loss) for rate, loss in tried.items()
    ]
    return min(losses, key=lambda pair: pair[1])[0]

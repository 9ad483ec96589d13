"""Plan of a study that is written before its runs, and its comparison with them.

plan = preregister("plan.json", question="…", first="qtha", second="lora(r=2)", seeds=5)
report = outcome(plan, runs)     refuses runs that are older than the plan, or not in it
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import write_json
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.comparison import MARGIN
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.paired import PairedDifference, paired_difference

LEAST_SEEDS = 3
NAME = "%Y%m%d-%H%M%S"  # of the start in a run's id


@dataclass(frozen=True)
class StudyPlan:
    """Declaration of a study: its methods, seeds, measure and margin.

    Attributes:
        question: The question, as a sentence.
        first: Method that the claim is about, as a method choice.
        second: Its control.
        seeds: Number of seeds, from 0.
        measure: Key of the run summaries.
        margin: Largest difference that counts as equivalent.
        written: Time of writing in UTC, as in the ids of runs.
    """

    question: str
    first: str
    second: str
    seeds: int
    measure: str = "test_loss"
    margin: float = MARGIN
    written: str = ""


def preregister(
    file: Path | str, *, question: str, first: str, second: str, seeds: int, margin: float = MARGIN
) -> StudyPlan:
    """Write a plan to a new file.

    Args:
        file: File to write; it must not exist, since a plan is not changed afterwards.
        question: The question, as a sentence.
        first: Method that the claim is about.
        second: Its control.
        seeds: Number of seeds.
        margin: Largest difference that counts as equivalent.

    Raises:
        Refusal: If the file exists, or the seeds are too few for an interval.
    """
    if Path(file).exists():
        raise Refusal(f"A plan must have a new file, got {Path(file).name}, which exists.")
    if seeds < LEAST_SEEDS:
        raise Refusal(f"seeds must be at least {LEAST_SEEDS}, got {seeds}.")
    written = time.strftime(NAME, time.gmtime())
    plan = StudyPlan(question, first, second, seeds, margin=margin, written=written)
    write_json(Path(file), asdict(plan))
    return plan


def outcome(plan: StudyPlan, runs: Iterable[Run]) -> PairedDifference:
    """Return the paired difference that a plan asks for.

    Args:
        plan: Plan that was written before the runs.
        runs: Finished runs: each method of the plan with each seed.

    Raises:
        Refusal: If a run is older than the plan, unfinished or missing.
    """
    arms = {arm: MethodChoice.parse(arm).meaning for arm in (plan.first, plan.second)}
    losses: dict[str, dict[int, float]] = {arm: {} for arm in arms}
    for run in runs:
        if run.id[: len(plan.written)] < plan.written:
            raise Refusal(f"A run must be newer than its plan, got {run.id}.")
        summary = run.summary
        if summary is None:
            raise Refusal(f"A run must be finished, got {run.id} without a summary.")
        meaning = MethodChoice(name=summary["method"], options=summary["options"]).meaning
        for arm, wanted in arms.items():
            if meaning == wanted:
                losses[arm][summary["seed"]] = summary[plan.measure]
    shared = sorted(set.intersection(*map(set, losses.values())))
    if len(shared) != plan.seeds:
        raise Refusal(
            f"Both methods must have the plan's {plan.seeds} seeds, got {len(shared)} in common."
        )
    first, second = (np.array([of[seed] for seed in shared]) for of in losses.values())
    return paired_difference(first, second, margin=plan.margin)

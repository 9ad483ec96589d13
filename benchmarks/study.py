"""Seconds from a question to its verdict, against the training steps of its runs alone.

The question is a tuned comparison. Its scheduler process plans, starts and follows all runs.
"""

import os
import tempfile
import time
from typing import Any
from unittest.mock import patch

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.run_directory import queue
from qtha_lab.runs.run import Run

RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
POLL_SECONDS = 1.0
AIM = 1.5  # seconds per second of training on all slots


def bench_study(
    methods: tuple[str, ...] = ("lora", "qtha"),
    trial_seeds: int = 3,
    seeds: int = 5,
    steps: int = 100,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time a tuned comparison on tiny and qa from launch to verdict.

    Args:
        methods: Methods to compare.
        trial_seeds: Seeds of each trial.
        seeds: Seeds of the comparison.
        steps: Steps of every run.
        show: Called every second with ended and planned runs, and the state.
    """
    trials = {
        "axes": {"learning_rate": list(RATES)},
        "seeds": list(range(1000, 1000 + trial_seeds)),
    }
    described = Comparison(
        methods=list(methods), seeds=list(range(seeds)), steps=steps, tuning=trials
    )
    planned = len(methods) * (len(RATES) * trial_seeds + seeds)
    before = conditions()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, QTHA_LAB_RUNS=folder),
    ):
        began = time.monotonic()
        study = described.run()
        while study.at_work:
            time.sleep(POLL_SECONDS)
            ended = sum(run.status().ended for run in _runs(study))
            show(ended, planned, study.state)
        seconds = time.monotonic() - began
        if study.state != "finished":
            raise Refusal(f"The comparison must finish, got {study.sentence()}.")
        runs = _runs(study)
        verdicts = [claim["sentence"] for claim in study.summary()["claims"]]
        settings = {"methods": list(methods), "rates": list(RATES), "steps": steps}
        settings |= {"trial_seeds": trial_seeds, "seeds": seeds}
        return {
            "benchmark": "study",
            **before,
            "settings": settings,
            "seconds": seconds,
            "slots": queue.n_slots(described.training.threads),
            "runs": len(runs),
            "training_seconds": sum(map(_training_seconds, runs)),
            "run_seconds": sum((run.summary or {}).get("wall_seconds", 0.0) for run in runs),
            "verdicts": verdicts,
        }


def _runs(study: Any) -> list[Run]:
    return [run for part in (study, *study.trials()) for run in part.list_runs()]


def _training_seconds(run: Run) -> float:
    """Return the seconds of a run's optimiser steps."""
    return sum(
        event.get("seconds") or 0.0 for event in run.valid_events() if event["kind"] == "train"
    )


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return seconds and ratios of the whole comparison."""
    of, slots = figures["settings"], figures["slots"]
    caption = (
        f"tiny on qa, {' and '.join(of['methods'])}, {len(of['rates'])} rates and"
        f" {of['trial_seeds']} trial seeds, then {of['seeds']} seeds: {figures['runs']} runs of"
        f" {of['steps']} steps on {slots} slots; the aim is {AIM} times the steps alone"
    )
    rows = [("part", "seconds", "question to verdict, per second")]
    parts = {"steps of all runs": "training_seconds", "whole runs": "run_seconds"}
    for name, key in parts.items():
        alone = figures[key] / slots
        rows.append(
            (f"{name}, over the slots", f"{alone:.0f}", f"{figures['seconds'] / alone:.2f}")
        )
    return [(caption, [*rows, ("question to verdict", f"{figures['seconds']:.0f}", "1.00")])]

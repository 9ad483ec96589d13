"""Execution of all arms and seeds of a reproduction, with its verdict.

Finished runs are not repeated. All files are in `out/NAME` (`out/NAME-quick` for the quick form):
`runs/`, `tuning/` and `verdict.json`. An arm that does its own work runs in this process; a
fine-tune runs in a worker as any other run.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, refuse_inner_links, write_json
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.reproductions.machinery.log import Log, Stopped
from qtha_lab.reproductions.machinery.registry import (
    LEAST_SEEDS,
    QUICK_SEEDS,
    Reproduction,
    reproduction_of,
)
from qtha_lab.reproductions.machinery.run_fine_tunes import Arm, Progress, fine_tune, origin_of
from qtha_lab.reproductions.machinery.tuning import Tuned, tune
from qtha_lab.reproductions.machinery.verdicts import headline, verdicts
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison.row_losses import read_items
from qtha_lab.training.summary import git_state

OUT = Path("out/reproductions")
VERDICT = "verdict.json"


def reproduce(
    name: str,
    out: Path | str = OUT,
    *,
    quick: bool = False,
    seeds: int | None = None,
    on_progress: Progress = lambda run, status: None,
) -> dict[str, Any]:
    """Run all arms of a reproduction; a repeated call with the same `out` resumes.

    In the full form the learning rate of each arm is chosen first, where there is one.

    Args:
        name: Name of the reproduction; with settings as `NAME(setting=value,…)`.
        out: Folder of reproductions.
        quick: Run the quick form.
        seeds: Number of seeds, from 0; None is 5, for the quick form 3.
        on_progress: Called with each run and its status.

    Returns:
        Content of `verdict.json`: name, claims with verdicts, run entries, seconds, and command.

    Raises:
        Refusal: If a reproduction, setting or requirement is missing, or a run was stopped
            or failed.

    Example:
        >>> reproduce("ttn_vqc", quick=True)["headline"]  # doctest: +SKIP
        'inconclusive; 1 of 4 claims shown'
    """
    of = reproduction_of(name)
    count = seeds if seeds is not None else QUICK_SEEDS if quick else LEAST_SEEDS
    if count < 1:
        raise Refusal(f"seeds must be at least 1, got {count}.")
    folder = Path(out) / folder_name(of, quick)
    make_folder(folder)
    refuse_inner_links(folder, 3)
    lock = queue.hold(folder / ".lock")
    if lock is None:
        raise Refusal(
            f"{folder} must have one process that reproduces {name}, got a second one. Wait for "
            "the first one."
        )
    try:
        trials = folder / "tuning"
        tuned = tune(of, run_arms, trials, on_progress) if of.is_tuned and not quick else {}
        # group the arms of a seed, as a comparison groups its methods
        arms = [
            Arm(arm, seed, quick, tuned[arm].rate_factor if tuned else 1.0)
            for seed in range(count)
            for arm in of.arms
        ]
        done = run_arms(of, arms, folder / "runs", on_progress)
        verdict = _verdict(of, done, tuned, quick, count)
        write_json(folder / VERDICT, verdict)
        return verdict
    finally:
        os.close(lock)


def folder_name(of: Reproduction, quick: bool) -> str:
    """Return the folder name of a reproduction: name, changed settings and form."""
    values = [f"{name}_{value}" for name, value in of.options.items()]
    text = "-".join([of.name, *values, *["quick"] * quick])
    return re.sub(r"[^\w.-]", "_", text)


def run_arms(
    of: Reproduction,
    arms: Sequence[Arm],
    folder: Path,
    on_progress: Progress = lambda run, status: None,
    ended: Mapping[Arm, Run] | None = None,
) -> dict[Arm, Run]:
    """Run arms of a reproduction; finished runs of the folder are not repeated.

    Args:
        of: Reproduction of the arms.
        arms: Arms with their seeds.
        folder: Folder of the runs.
        on_progress: Called with each run and its status.
        ended: Earlier arms that fine-tunes may read.

    Raises:
        Refusal: If a run was stopped or failed.

    Returns:
        The ended run of each arm.
    """
    work = fine_tune if of.is_fine_tune else _run_here
    return work(of, arms, folder, on_progress, ended)


def _run_here(
    of: Reproduction,
    arms: Sequence[Arm],
    folder: Path,
    on_progress: Progress,
    _: Mapping[Arm, Run] | None,
) -> dict[Arm, Run]:
    """Run arms that do their own work one after the other."""
    there = {_key(run.experiment): run for run in reversed(list_runs(folder))}
    done: dict[Arm, Run] = {}
    for arm in arms:
        described = Reproduced.arm(
            of.text,
            arm.name,
            data=of.data,
            steps=of.n_steps(arm.quick),
            seed=arm.seed,
            quick=arm.quick,
            rate_factor=arm.rate_factor,
        )
        run = there.get(_key(described))
        if run is None:
            run = Run(RunDir.create(described, folder, origin_of(of, arm)).path)
        if run.status().state != "finished":
            _work(of, arm, run, on_progress)
        on_progress(run, run.status())
        done[arm] = run
    return done


def _work(of: Reproduction, arm: Arm, run: Run, on_progress: Progress) -> None:
    """Run one arm from its first step in this process, holding the run's lock.

    Raises:
        Refusal: If a stop was requested.
    """
    with taken_over(run.files, "starting") as lock:
        queue.sign(lock, os.getpid())
        events = EventLog(run.files.events)
        log = Log(run.files, events, run.experiment.training.steps, arm.rate_factor)
        state, message = "failed", ""
        try:
            events.append("status", state="running", step=0, message="")
            on_progress(run, run.status())
            facts = _computed(of, arm, log)
            _write_summary(run.files, facts)
            state = "finished"
        except (Stopped, KeyboardInterrupt) as reason:
            state, message = "stopped", f"stopped at step {log.step} of {log.steps}"
            if isinstance(reason, KeyboardInterrupt):
                raise
            raise Refusal(
                f"Arm {arm.name} of {of.name}, seed {arm.seed}, must run to its end, got one "
                f"{message}. The same command resumes it."
            ) from None
        except Exception as error:
            message = fault_log.fault_sentence(error, run.files.log)
            raise
        finally:
            events.append("status", state=state, step=log.step, message=message)
            events.close()


def _computed(of: Reproduction, arm: Arm, log: Log) -> dict[str, float]:
    """Return the results of an arm, computed with its seed on one thread."""
    import numpy as np
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(arm.seed)
    np.random.seed(arm.seed)
    of.run(arm.name, arm.seed, arm.quick, log, *of.arguments())
    return log.close()


def _write_summary(files: RunDir, facts: dict[str, float]) -> None:
    from qtha_lab.training.summary import run_summary  # needs no torch itself, but its package does

    measured = run_summary(files, {})
    if not measured["steps"]:
        measured["steps"] = files.experiment.training.steps
    write_json(files.summary, {**measured, **facts, "state": "finished"})


def _verdict(
    of: Reproduction, done: dict[Arm, Run], tuned: dict[str, Tuned], quick: bool, seeds: int
) -> dict[str, Any]:
    """Return the content of `verdict.json`."""
    entries: dict[str, dict[int, Any]] = {}
    for arm, run in done.items():
        entries.setdefault(arm.name, {})[arm.seed] = run.outcome()
    finished = {
        arm: {seed: e for seed, e in by_seed.items() if e["state"] == "finished"}
        for arm, by_seed in entries.items()
    }
    claims = [v.plain() for v in verdicts(of, finished, quick, read_items(done.values()))]
    every = [e for by_seed in entries.values() for e in by_seed.values()]
    command = f"qtha-lab reproduce {shlex.quote(of.text)}{' --quick' * quick} --seeds {seeds}"
    trials = sum(arm.seconds for arm in tuned.values())
    return {
        "name": of.name,
        "arxiv": of.arxiv,
        "quick": quick,
        "seeds": seeds,
        "headline": headline(claims),
        "claims": claims,
        "command": command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": (git_state(Path(__file__).parents[3]) or {}).get("commit", ""),
        "seconds": trials + sum(e.get("wall_seconds") or 0.0 for e in every),
        "tuned": {arm: of_arm.plain() for arm, of_arm in tuned.items()},
        "arms": {arm: list(by_seed.values()) for arm, by_seed in entries.items()},
    }


def _key(experiment: Experiment) -> tuple[Any, ...]:
    """Return the key of one arm with one seed in a folder."""
    factor = getattr(experiment, "rate_factor", 1.0)
    return experiment.method.name, experiment.seed, experiment.training.steps, factor

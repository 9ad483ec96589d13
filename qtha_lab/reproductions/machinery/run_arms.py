"""Execution of all arms and seeds of a reproduction, with its verdict.

Finished runs are not repeated. All files are in `out/NAME` (`out/NAME-quick` for the quick form):
`runs/` and `verdict.json`. An arm that does its own work runs in this process; a fine-tune runs in
a worker as any other run.
"""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core import fault_log as faults
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir, write_json
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.reproductions.machinery.log import Log, Stopped
from qtha_lab.reproductions.machinery.registry import (
    LEAST_SEEDS,
    QUICK_SEEDS,
    Reproduction,
    reproduction_of,
)
from qtha_lab.reproductions.machinery.verdicts import headline, verdicts
from qtha_lab.runs import run as runs
from qtha_lab.runs.absolute_paths import with_absolute_paths
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies.comparison.entries import entry
from qtha_lab.training.environment import git_state

OUT = Path("out/reproductions")
VERDICT = "verdict.json"
POLL_SECONDS = 0.3
Progress = Callable[[Run, Status], None]


class Arm(NamedTuple):
    """Arm of a reproduction with one seed."""

    name: str
    seed: int
    quick: bool


def reproduce(
    name: str,
    out: Path | str = OUT,
    *,
    quick: bool = False,
    seeds: int | None = None,
    on_progress: Progress = lambda run, status: None,
) -> dict[str, Any]:
    """Run all arms of a reproduction; a repeated call with the same `out` resumes.

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
    folder.mkdir(parents=True, exist_ok=True)
    lock = slots.hold(folder / ".lock")
    if lock is None:
        raise Refusal(
            f"{folder} must have one process that reproduces {name}, got a second one. Wait for "
            "the first one."
        )
    try:
        # group the arms of a seed, as a comparison groups its methods
        arms = [Arm(arm, seed, quick) for seed in range(count) for arm in of.arms]
        work = _fine_tuned if of.is_fine_tune else _run_here
        entries = work(of, arms, folder / "runs", on_progress)
        verdict = _verdict(of, entries, quick, count)
        write_json(folder / VERDICT, verdict)
        return verdict
    finally:
        os.close(lock)


def folder_name(of: Reproduction, quick: bool) -> str:
    """Return the folder name of a reproduction: name, changed settings and form."""
    values = [f"{name}_{value}" for name, value in of.options.items()]
    text = "-".join([of.name, *values, *["quick"] * quick])
    return re.sub(r"[^\w.-]", "_", text)


def _run_here(
    of: Reproduction, arms: list[Arm], folder: Path, on_progress: Progress
) -> dict[str, dict[int, Any]]:
    """Run the arms one after the other; return the entries by arm and seed."""
    there = {_key(run.experiment): run for run in reversed(runs.list_runs(folder))}
    entries: dict[str, dict[int, Any]] = {}
    for arm in arms:
        described = Reproduced.arm(
            of.text,
            arm.name,
            data=of.data,
            steps=of.n_steps(arm.quick),
            seed=arm.seed,
            quick=arm.quick,
        )
        run = there.get(_key(described))
        if run is None:
            run = Run(RunDir.create(described, folder, _origin(of, arm)).path)
        if run.status().state != "finished":
            _work(of, arm, run, on_progress)
        on_progress(run, run.status())
        entries.setdefault(arm.name, {})[arm.seed] = entry(run, run.status())
    return entries


def _work(of: Reproduction, arm: Arm, run: Run, on_progress: Progress) -> None:
    """Run one arm from its first step in this process, holding the run's lock.

    Raises:
        Refusal: If a stop was requested.
    """
    with taken_over(run.files, "starting") as lock:
        slots.sign(lock, os.getpid())
        events = EventLog(run.files.events)
        log = Log(run.files, events, run.experiment.training.steps)
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
            message = faults.fault_sentence(error, run.files.log)
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


def _fine_tuned(
    of: Reproduction, arms: list[Arm], folder: Path, on_progress: Progress
) -> dict[str, dict[int, Any]]:
    """Train the arms in workers, as many at once as there are slots.

    Returns the entries by arm and seed.
    """
    there = [(run, run.experiment) for run in runs.list_runs(folder)]
    live: list[tuple[Arm, Run]] = []
    ended: dict[Arm, Run] = {}
    waiting = list(arms)
    try:
        while waiting or live:
            free = slots.n_slots(None) - len(live)
            ready = [arm for arm in waiting if not of.takes_earlier or _is_next(arm, waiting, live)]
            for arm in ready[:free]:
                waiting.remove(arm)
                live.append((arm, _launched(of, arm, folder, there, ended)))
            time.sleep(POLL_SECONDS)
            for arm, run in list(live):
                status = run.status()
                on_progress(run, status)
                if status.ended:
                    _check_finished(of, arm, run, status)
                    live.remove((arm, run))
                    ended[arm] = run
    except BaseException:
        for _, run in live:
            run.request_stop()
        for _, run in live:
            run.stop()
        raise
    entries: dict[str, dict[int, Any]] = {}
    for arm in arms:
        entries.setdefault(arm.name, {})[arm.seed] = entry(ended[arm], ended[arm].status())
    return entries


def _is_next(arm: Arm, waiting: list[Arm], live: list[tuple[Arm, Run]]) -> bool:
    """Return True if all earlier arms of its seed have ended."""
    going = [other for other, _ in live]
    first = next(other for other in waiting if other.seed == arm.seed)
    return arm == first and not any(other.seed == arm.seed for other in going)


def _experiment(of: Reproduction, arm: Arm, ended: dict[Arm, Run]) -> Experiment:
    """Return the experiment of an arm, titled with the arm's name."""
    earlier = {other.name: run.path for other, run in ended.items() if other.seed == arm.seed}
    request = (arm.name, arm.seed, arm.quick)
    experiment = of.run(*request, earlier) if of.takes_earlier else of.run(*request)
    titled = experiment.method.replace(title=experiment.method.title or arm.name)
    return experiment.replace(method=titled, seed=arm.seed)


def _launched(
    of: Reproduction,
    arm: Arm,
    folder: Path,
    there: list[tuple[Run, Experiment]],
    ended: dict[Arm, Run],
) -> Run:
    """Return the run of an arm: existing, resumed or new."""
    described = with_absolute_paths(_experiment(of, arm, ended))
    for run, experiment in there:
        state = run.status().state
        if experiment == described and state not in ("failed", "diverged"):
            if state in ("stopped", "dead"):
                run.resume()
            return run
    return runs.launch(described, folder, origin=_origin(of, arm))


def _origin(of: Reproduction, arm: Arm) -> dict[str, Any]:
    return {"reproduction": of.name, "arm": arm.name, "quick": arm.quick}


def _check_finished(of: Reproduction, arm: Arm, run: Run, status: Status) -> None:
    """Refuse to continue without a run's result.

    A diverged run is a result, without numbers.
    """
    if status.state not in ("finished", "diverged"):
        raise Refusal(
            f"Arm {arm.name} of {of.name} must finish, got {status.state} with seed {arm.seed}. "
            f"{status.message} Its folder is {run.path}."
        )


def _verdict(
    of: Reproduction, entries: dict[str, dict[int, Any]], quick: bool, seeds: int
) -> dict[str, Any]:
    """Return the content of `verdict.json`."""
    finished = {
        arm: {seed: e for seed, e in by_seed.items() if e["state"] == "finished"}
        for arm, by_seed in entries.items()
    }
    claims = [verdict.plain() for verdict in verdicts(of, finished, quick)]
    every = [e for by_seed in entries.values() for e in by_seed.values()]
    command = f"qtha-lab reproduce {shlex.quote(of.text)}{' --quick' * quick} --seeds {seeds}"
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
        "seconds": sum(e.get("wall_seconds") or 0.0 for e in every),
        "arms": {arm: list(by_seed.values()) for arm, by_seed in entries.items()},
    }


def _key(experiment: Experiment) -> tuple[Any, ...]:
    """Return the key of one arm with one seed in a folder."""
    return experiment.method.name, experiment.seed, experiment.training.steps

"""Execution of arms of a reproduction; finished runs are not repeated.

A fine-tune is trained in a worker; an arm that does its own work runs in this process.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import write_json
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.reproductions.machinery.registry import Reproduction
from qtha_lab.reproductions.machinery.training_loop import Log, Stopped
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.run import Run, Status, list_runs
from qtha_lab.studies.work import Work


class Arm(NamedTuple):
    """Arm of a reproduction with one seed.

    Attributes:
        name: Name of the arm.
        seed: Seed of its run.
        quick: True in the quick form.
        rate_factor: Factor of the declared learning rates.
    """

    name: str
    seed: int
    quick: bool
    rate_factor: float = 1.0


def fine_tune(
    of: Reproduction,
    arms: Sequence[Arm],
    work: Work,
    folder: Path,
    ended: Mapping[Arm, Run] | None = None,
) -> Generator[None, None, dict[Arm, Run]]:
    """Train arms in workers; new runs share one scheduler process.

    Raises:
        Refusal: If a run was stopped or failed; a diverged run is a result.

    Returns:
        The ended run of each arm, in the order of `arms`.
    """
    there = list_runs(folder)
    live: dict[Arm, Run] = {}
    done: dict[Arm, Run] = {}
    waiting = list(arms)
    while waiting or live:
        ready = [arm for arm in waiting if not of.takes_earlier or _is_next(arm, waiting, live)]
        waiting = [arm for arm in waiting if arm not in ready]
        before = {**(ended or {}), **done}
        experiments = [experiment_of(of, arm, before) for arm in ready]
        origins = [origin_of(of, arm) for arm in ready]
        runs = work.start(experiments, folder, there, origins, check=True) if ready else []
        live |= dict(zip(ready, runs, strict=True))
        yield
        for arm, run in list(live.items()):
            if status := work.ended(run):
                _check_finished(of, arm, run, status)
                done[arm] = live.pop(arm)
    return {arm: done[arm] for arm in arms}


def experiment_of(of: Reproduction, arm: Arm, ended: Mapping[Arm, Run]) -> Experiment:
    """Return the experiment of an arm, titled with the arm's name."""
    earlier = {other.name: run.path for other, run in ended.items() if other.seed == arm.seed}
    request = (arm.name, arm.seed, arm.quick, *[earlier] * of.takes_earlier)
    experiment = of.run(*request, *of.arguments())
    method = experiment.method.replace(title=experiment.method.title or arm.name)
    if arm.rate_factor != 1:
        rate = float(f"{arm.rate_factor * method.peak_learning_rate:.3g}")
        method = method.replace(learning_rate=rate)
    return experiment.replace(method=method, seed=arm.seed)


def origin_of(of: Reproduction, arm: Arm) -> dict[str, Any]:
    """Return the origin that the run of an arm records."""
    return {"reproduction": of.name, "arm": arm.name, "quick": arm.quick}


def _is_next(arm: Arm, waiting: Sequence[Arm], live: Mapping[Arm, Run]) -> bool:
    """Return True if all earlier arms of its seed have ended."""
    first = next(other for other in waiting if other.seed == arm.seed)
    return arm == first and not any(other.seed == arm.seed for other in live)


def _check_finished(of: Reproduction, arm: Arm, run: Run, status: Status) -> None:
    """Refuse to continue without a run's result.

    A diverged run is a result, without numbers.
    """
    if status.state not in ("finished", "diverged"):
        raise Refusal(
            f"Arm {arm.name} of {of.name} must finish, got {status.state} with seed {arm.seed}. "
            f"{status.message} Its folder is {run.path}."
        )


def run_arms(
    of: Reproduction,
    arms: Sequence[Arm],
    work: Work,
    folder: Path,
    ended: Mapping[Arm, Run] | None = None,
) -> Generator[None, None, dict[Arm, Run]]:
    """Run arms of a reproduction; finished runs of the folder are not repeated.

    Raises:
        Refusal: If a run was stopped or failed.

    Returns:
        The ended run of each arm.
    """
    if of.is_fine_tune:
        return (yield from fine_tune(of, arms, work, folder, ended))
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
            _work(of, arm, run, work)
            yield
        work.follow([run])
        done[arm] = run
    return done


def _work(of: Reproduction, arm: Arm, run: Run, work: Work) -> None:
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
            work.follow([run])
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


def _key(experiment: Experiment) -> tuple[Any, ...]:
    """Return the key of one arm with one seed in a folder."""
    factor = getattr(experiment, "rate_factor", 1.0)
    return experiment.method.name, experiment.seed, experiment.training.steps, factor

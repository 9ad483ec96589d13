"""Fine-tunes of a reproduction, trained in workers as any other run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import queue
from qtha_lab.reproductions.machinery.registry import Reproduction
from qtha_lab.runs.absolute_paths import with_absolute_paths
from qtha_lab.runs.run import Run, Status, launch, list_runs

POLL_SECONDS = 0.3
Progress = Callable[[Run, Status], None]


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
    folder: Path,
    on_progress: Progress,
    ended: Mapping[Arm, Run] | None = None,
) -> dict[Arm, Run]:
    """Train arms in workers, as many at once as there are slots.

    Args:
        of: Reproduction of the arms.
        arms: Arms to train; the runs of `folder` that have finished are not repeated.
        folder: Folder of the runs.
        on_progress: Called with each run and its status.
        ended: Earlier arms that these may read.

    Raises:
        Refusal: If a run was stopped or failed; a diverged run is a result.

    Returns:
        The ended run of each arm, in the order of `arms`.
    """
    there = [(run, run.experiment) for run in list_runs(folder)]
    live: list[tuple[Arm, Run]] = []
    done: dict[Arm, Run] = {}
    waiting = list(arms)
    try:
        while waiting or live:
            free = queue.n_slots(None) - len(live)
            ready = [arm for arm in waiting if not of.takes_earlier or _is_next(arm, waiting, live)]
            for arm in ready[:free]:
                waiting.remove(arm)
                described = experiment_of(of, arm, {**(ended or {}), **done})
                live.append((arm, _launched(of, arm, described, folder, there)))
            time.sleep(POLL_SECONDS)
            for arm, run in list(live):
                status = run.status()
                on_progress(run, status)
                if status.ended:
                    _check_finished(of, arm, run, status)
                    live.remove((arm, run))
                    done[arm] = run
    except BaseException:
        for _, run in live:
            run.request_stop()
        for _, run in live:
            run.stop()
        raise
    return {arm: done[arm] for arm in arms}


def experiment_of(of: Reproduction, arm: Arm, ended: Mapping[Arm, Run]) -> Experiment:
    """Return the experiment of an arm, titled with the arm's name.

    Args:
        of: Reproduction of the arm.
        arm: Arm with its seed.
        ended: Ended runs of earlier arms.
    """
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


def _is_next(arm: Arm, waiting: list[Arm], live: list[tuple[Arm, Run]]) -> bool:
    """Return True if all earlier arms of its seed have ended."""
    going = [other for other, _ in live]
    first = next(other for other in waiting if other.seed == arm.seed)
    return arm == first and not any(other.seed == arm.seed for other in going)


def _launched(
    of: Reproduction,
    arm: Arm,
    described: Experiment,
    folder: Path,
    there: list[tuple[Run, Experiment]],
) -> Run:
    """Return the run of an arm: existing, resumed or new."""
    described = with_absolute_paths(described)
    for run, experiment in there:
        state = run.status().state
        if experiment == described and state not in ("failed", "diverged"):
            if state in ("stopped", "dead"):
                run.resume()
            return run
    return launch(described, folder, origin=origin_of(of, arm))


def _check_finished(of: Reproduction, arm: Arm, run: Run, status: Status) -> None:
    """Refuse to continue without a run's result.

    A diverged run is a result, without numbers.
    """
    if status.state not in ("finished", "diverged"):
        raise Refusal(
            f"Arm {arm.name} of {of.name} must finish, got {status.state} with seed {arm.seed}. "
            f"{status.message} Its folder is {run.path}."
        )

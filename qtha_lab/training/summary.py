"""Summary of a run as one flat mapping, with the run's environment.

Trains nothing. `train_loss` is the mean over the last ten steps, because the loss of a single batch
is noisy. `eval_loss` is the loss of the last evaluation, or of `best_step`, whose adapter is
stored. `eval_loss_best` is the lowest evaluation loss, at `best_step`. The test uses other rows,
once at the end. `seconds_per_step` is the median of the steps that ran with `threads` CPU threads,
the most frequent number. `side_by_side` is true if other runs held a slot of the machine during any
of these steps; it is absent if unknown. The environment is package versions, git commit and
processor, without environment variables and user names.
"""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import statistics
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qtha_lab.core import metrics, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read
from qtha_lab.core.paths import shared_name
from qtha_lab.experiment.run_directory import RunDir, record
from qtha_lab.experiment.run_directory.events import history, read_events
from qtha_lab.experiment.run_directory.queue import n_cores

log = logging.getLogger(__name__)


LAST_STEPS = 10


def run_summary(run: RunDir, facts: dict[str, Any]) -> dict[str, Any]:
    """Compute the content of `summary.json`."""
    events = read_events(run.events)[0]
    who = record.facts(run)
    return {
        **who,
        "model": shared_name(who["model"]),
        "task": shared_name(who["task"]),
        **facts,
        **measured(history(events), facts.get("best_step")),
        "wall_seconds": wall_seconds(events),
        "adapter_bytes": adapter_bytes(run),
    }


def measured(events: Iterable[dict[str, Any]], best_step: int | None = None) -> dict[str, Any]:
    """Extract losses, scores and step time from valid events (see `events.history`).

    Args:
        events: Events of the run.
        best_step: Step of the stored adapter if it is not the last; losses are then taken up to
            this step.
    """
    kinds: dict[str, list[dict[str, Any]]] = {}
    events = list(events)
    for event in events:
        kinds.setdefault(event["kind"], []).append(event)
    train = kinds.get("train", [])
    evals = sorted(kinds.get("eval", []), key=lambda event: event["step"])
    up_to_best = [e for e in train if best_step is None or e["step"] <= best_step]
    losses = [event["loss"] for event in up_to_best[-LAST_STEPS:]]
    last = evals[-1] if evals else {}
    last = next((event for event in evals if event["step"] == best_step), last)
    whole = kinds.get("whole_base", [])
    return {
        "steps": train[-1]["step"] if train else 0,
        "train_loss": None if None in losses or not losses else statistics.fmean(losses),
        "eval_loss_start": evals[0]["loss"] if evals and evals[0]["step"] == 0 else None,
        "eval_loss": last.get("loss"),
        **({"eval_loss_whole_base": whole[-1]["loss"]} if whole else {}),
        **_best(evals),
        **_tested(kinds.get("test", []), kinds.get("general", [])),
        **_scores(last, kinds.get("generation", [{}])[-1]),
        **_step_time(events),
    }


def _scores(evaluation: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """Return the scores in the last evaluation, and in the last answers."""
    names = (*metrics.scores(), *metrics.recorded("problem"))
    generated = metrics.recorded("generation")
    return {name: evaluation[name] for name in names if name in evaluation} | {
        name: answers[name] for name in generated if name in answers
    }


def _step_time(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the median step time at the most frequent number of threads, and this number."""
    seconds: dict[int | None, list[float]] = {}
    beside: dict[int | None, set[bool | None]] = {}
    threads = side_by_side = None
    for event in events:
        if event["kind"] == "threads":
            threads, side_by_side = event["count"], event.get("side_by_side")
        elif event["kind"] == "train" and "seconds" in event:
            seconds.setdefault(threads, []).append(event["seconds"])
            beside.setdefault(threads, set()).add(side_by_side)
    usual = max(seconds, key=lambda count: len(seconds[count]), default=None)
    return {
        "seconds_per_step": statistics.median(seconds[usual]) if seconds else None,
        **({} if usual is None else {"threads": usual}),
        **_beside_others(beside.get(usual, set())),
    }


def _beside_others(known: set[bool | None]) -> dict[str, bool]:
    """Return the flag of concurrent runs during the steps; {} if unknown."""
    return {"side_by_side": True in known} if True in known or known == {False} else {}


def _best(evals: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the lowest evaluation loss after step 0, and its first step."""
    known = [event for event in evals if event["step"] and event["loss"] is not None]
    if not known:
        return {}
    best = min(known, key=lambda event: event["loss"])
    return {"eval_loss_best": best["loss"], "best_step": best["step"]}


def _tested(tests: list[dict[str, Any]], general: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results of the final test; {} for a run recorded without one."""
    numbers: dict[str, Any] = {}
    if tests and (loss := tests[-1]["loss"]) is not None:
        numbers["test_loss"] = loss
        if (accuracy := tests[-1].get("accuracy")) is not None:
            numbers["test_accuracy"] = accuracy
        if (trained := tests[-1].get("train_loss")) is not None:
            numbers["generalisation_gap"] = loss - trained
    if general and None not in (pair := (general[-1]["loss"], general[-1]["loss_base"])):
        numbers["forgetting"] = pair[0] - pair[1]
    return numbers


def wall_seconds(events: Iterable[dict[str, Any]]) -> float:
    """Sum the working time over all sessions of a run, in seconds.

    Time in the queue does not count.
    """
    total, before = 0.0, None
    for event in events:
        waits = event["kind"] == "status" and event["state"] == "queued"
        if before is not None and not waits:
            total += max(0.0, event["t"] - before)  # clocks of processes may differ
        elif before is None and event["kind"] != "status":
            continue
        before = None if waits else event["t"]
    return total


def adapter_bytes(run: RunDir) -> int | None:
    """Return the size of the saved adapter's tensors, or None before it is saved."""
    files = list(run.adapter.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files) if files else None


PACKAGES = [
    "qtha-lab",
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "safetensors",
    "pennylane",
    "pennylane-lightning",
    "numba",
    "numpy",
    "sacrebleu",
]


def environment_facts() -> dict[str, Any]:
    """Return versions, git state and processor of this process."""
    return {
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git": git_state(paths.CHECKOUT),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": n_cores(),
        "start": "warm" if is_preloaded() else "cold",
    }


def is_preloaded() -> bool:
    """Return True if a scheduler process forked this process with preloaded libraries."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return getattr(spec, "name", "").endswith(".scheduler")


def cpu_name() -> str:
    """Return the processor's name as the operating system reports it."""
    try:
        lines = read(Path("/proc/cpuinfo")).splitlines()
    except (FileNotFoundError, Refusal) as reason:
        log.debug("the processor's name is the platform's: %s", reason)
        return platform.processor() or platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a checkout and the state of its tracked files.

    `dirty` is true if a tracked file differs from the commit. None if the folder is no git
    checkout.
    """
    if not (folder / ".git").exists():
        return None
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *words: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired) as reason:
        log.debug("no state of git: %s", reason)
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None

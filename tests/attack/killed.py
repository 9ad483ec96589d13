"""Describe the processes that are killed.

Run worker, queue, scheduler process, reproduction, export, and a resume inside its window.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.io import digest
from tools.repeatable import content, timeless

from .readers import TRAINING

PATIENCE = 600.0
METHODS = "lora(r=2)"
ADAPTER = ("adapter_model.safetensors", "adapter_config.json", "prediction.json")


@dataclass(frozen=True)
class Kind:
    """A kind of process: what it does in a folder, and which process of it is killed.

    Attributes:
        work: Begin or go on; called in a process of its own.
        results: What the complete work came to, without times; None while it is not complete.
        victim: The process to kill; None takes the one that works.
        seconds: How long the work takes on an idle machine.
        share: Kills of it beside one of another kind.
        slots: How many runs train at once.
        window: The process ends itself at an event between the lock of a run and its first event.
    """

    work: Callable[[Path], Any]
    results: Callable[[Path], Any]
    victim: Callable[[Path], int | None] = lambda folder: None
    seconds: float = 4.0
    share: int = 1
    slots: int = 2
    window: bool = False


def _experiment(seed: int = 0):
    from qtha_lab import Experiment

    return Experiment(method=METHODS, seed=seed, training=TRAINING)


def _several() -> dict[str, Any]:
    return {"methods": METHODS, "training": {**TRAINING, "steps": 2}}


def _train(folder: Path, count: int = 1) -> None:
    from qtha_lab.runs.launch import launch
    from qtha_lab.runs.run import list_runs

    there = {run.experiment.seed: run for run in list_runs(folder)}
    for seed in range(count):
        run = there.get(seed) or launch(_experiment(seed), folder)
        there[seed] = run
        if run.status().ended and run.status().state != "finished":
            run.resume()
    for run in there.values():
        run.wait(PATIENCE)


def _resume(folder: Path) -> None:
    """Stop a run early, and resume it."""
    from qtha_lab.runs.launch import launch
    from qtha_lab.runs.run import list_runs

    if not list_runs(folder):
        run = launch(_experiment(), folder)
        run.request_stop()
        run.wait(PATIENCE)
    _train(folder)


def end_in_window(event: int) -> None:
    """Kill this process at the n-th event after a resume locks its run.

    The events are those of `sys.addaudithook`, such as opened and deleted files. They are counted
    up to the first event that the resume writes.
    """
    passed, resumed = 0, False

    def count(name: str, arguments: tuple) -> None:
        nonlocal passed, resumed
        if name != "open" and not name.startswith(("os.", "shutil.", "fcntl.")):
            return
        opened = os.path.basename(os.fsdecode(arguments[0])) if _is_path(arguments) else ""
        if name == "open" and opened == "worker.lock" and arguments[2] & os.O_CREAT:
            passed, resumed = 0, os.path.exists(arguments[0])
        passed += resumed
        if resumed and passed == event:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "open" and opened == "events.jsonl" and arguments[2] & os.O_APPEND:
            resumed = False

    sys.addaudithook(count)


def _is_path(arguments: tuple) -> bool:
    return bool(arguments) and isinstance(arguments[0], str | bytes | os.PathLike)


def _losses(folder: Path, count: int = 1) -> Any:
    """Return the results of the finished runs of a folder by method and seed.

    Losses, the summary without times, and the SHA-256 of the adapter's files; None while there are
    too few runs.
    """
    from qtha_lab.runs.run import list_runs

    found = {}
    for run in list_runs(folder):
        if run.status().state != "finished":
            return None
        events = [e for e in run.valid_events() if e["kind"] in ("train", "eval", "test")]
        key = f"{run.experiment.method.label} {run.experiment.seed} {run.experiment.training.steps}"
        rate = run.experiment.method.learning_rate
        found[f"{key} {rate}"] = {
            "losses": sorted([e["kind"], e["step"], e.get("loss")] for e in events),
            "summary": timeless(run.summary),
            "adapter": {name: digest(run.files.adapter / name) for name in ADAPTER},
        }
    return found if len(found) >= count else None


def _worker(folder: Path) -> int | None:
    from qtha_lab.experiment.run_directory import queue
    from qtha_lab.runs import run

    pids = [queue.holder(run.files.lock) for run in run.list_runs(folder)]
    return random.choice([pid for pid in pids if pid] or [None])


def _scheduler(folder: Path) -> int | None:
    """Return the process that has forked a worker of the folder."""
    import psutil

    if (pid := _worker(folder)) is None:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid).parent()
        if parent and any(word.endswith(".scheduler") for word in parent.cmdline()):
            return parent.pid
    return None


def _sweep(folder: Path) -> None:
    from qtha_lab.experiment import Sweep
    from qtha_lab.studies import scheduler
    from qtha_lab.studies.sweep import SweepStudy

    SweepStudy.create(Sweep(**_several(), axes={"learning_rate": [0.001, 0.01]}), folder)
    scheduler.main([str(folder)])


def _trials(folder: Path) -> Any:
    from qtha_lab.studies.sweep import SweepStudy

    if not (folder / "sweep.yaml").exists():
        return None
    trials = SweepStudy.find(folder)
    if trials.state != "finished":
        return None
    return sorted(
        [sorted(record.point.items()), record.state, record.value] for record in trials.records()
    )


def _compare(folder: Path) -> None:
    from qtha_lab import Comparison
    from qtha_lab.studies import scheduler
    from qtha_lab.studies.comparison import ComparisonStudy

    described = Comparison(
        **{**_several(), "methods": "lora(r=1),lora(r=2)"},
        seeds=[0],
        tuning={"axes": {"learning_rate": [0.001, 0.01]}, "seeds": [7]},
    )
    ComparisonStudy.create(described, folder)
    scheduler.main([str(folder)])


def _compared(folder: Path) -> Any:
    """Return the runs' results and the verdicts of the report; None without a report."""
    if not (folder / "report.html").exists() or (runs := _losses(folder / "runs")) is None:
        return None
    return {
        "runs": runs,
        "claims": timeless(json.loads((folder / "report.json").read_text())["claims"]),
    }


def _federate(folder: Path) -> None:
    from qtha_lab import federate
    from qtha_lab.experiment import Federation

    federate(Federation(**_several(), clients=2, rounds=2), folder)


def _federated(folder: Path) -> Any:
    file = folder / "summary.json"
    runs = json.loads(file.read_text())["runs"] if file.exists() else []
    return _losses(folder / "runs") if runs and runs[0].get("rounds") else None


def _reproduce(folder: Path) -> None:
    from qtha_lab import reproductions

    reproductions.reproduce("flip", folder, quick=True, seeds=1)


def _reproduced(folder: Path) -> Any:
    found = content(folder)
    return found and found["verdict"]


def _search(folder: Path) -> None:
    from qtha_lab.studies import scheduler
    from qtha_lab.studies.circuit_search import CircuitSearch, CircuitSearchStudy

    described = CircuitSearch(space="layers(n_qubits=2,n_layers=1)", steps=40, candidates=8)
    CircuitSearchStudy.create(described, folder)
    scheduler.main([str(folder)])


def _searched(folder: Path) -> Any:
    from qtha_lab.studies.circuit_search import CircuitSearchStudy

    return CircuitSearchStudy(folder).circuits() or None


def _export(folder: Path) -> None:
    from qtha_lab.runs import export
    from qtha_lab.runs.run import list_runs

    _train(folder)
    for run in list_runs(folder):
        for kind in ("adapter", "card", "merged"):
            export.export_run(run, kind)


def _exported(folder: Path) -> Any:
    whole = list(folder.glob("*/exports/*merged/model.safetensors"))
    return _losses(folder) if whole else None


KINDS: dict[str, Kind] = {
    "worker": Kind(_train, _losses, _worker, seconds=2, share=8),
    "queue": Kind(lambda f: _train(f, 2), lambda f: _losses(f, 2), _worker, 5, share=3, slots=1),
    "resume": Kind(_resume, _losses, share=4, window=True),
    "scheduler": Kind(lambda f: _train(f, 2), lambda f: _losses(f, 2), _scheduler, 4, share=1),
    "sweep": Kind(_sweep, _trials, seconds=5, share=4),
    "comparison": Kind(_compare, _compared, seconds=15, share=1),
    "federation": Kind(_federate, _federated, seconds=5, share=3),
    "search": Kind(_search, _searched, seconds=3, share=2),
    "reproduction": Kind(_reproduce, _reproduced, seconds=2, share=8),
    "export": Kind(_export, _exported, seconds=4, share=5),
}

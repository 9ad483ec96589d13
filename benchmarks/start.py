"""What a run costs beside its training steps: real workers, started cold and warm, their phases by
their events.

A worker's processor time is looked at while it runs, each time an event has come; so a phase's is
known to
within one look.
"""

import contextlib
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes

LOOK_SECONDS = 0.01
PHASES = (
    "libraries",
    "loading",
    "training",
    "evaluation",
    "spectra",
    "checkpoints",
    "answers",
    "end",
)
# What an event is the end of; the test at the end of a run is an evaluation, on rows of its own.
OF_EVENT = {
    "train": "training", "eval": "evaluation", "general": "evaluation", "test": "evaluation",
    "spectrum": "spectra", "bottleneck": "spectra", "checkpoint": "checkpoints",
    "generation": "answers",
}  # fmt: skip


def bench_start(
    model: str,
    methods: Iterable[str],
    *,
    steps: int = 5,
    rounds: int = 3,
    on_run: Callable[[int, str], None] = lambda number, label: None,
) -> dict[str, Any]:
    """Launch every method cold and warm, in turns.

    Args:
        model: The base model.
        methods: As on the command line.
        steps: Of every run.
        rounds: Runs of each method and start.
        on_run: Called before each run with its number and what it is.

    Returns:
        `machine`, `commit`, `settings`, and under `runs` one entry each: `method`, `start`,
        `first_point` (seconds
        from the launch to the first step's event), `first_point_cpu`, `wall` and `cpu` (by phase;
        the first is from the
        launch on), and `threads`, the most that it computed with.
    """
    before, methods, runs = conditions(), list(methods), []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        _variable("QTHA_LAB_RUNS", folder),
    ):
        _loaded_server()
        for _ in range(rounds):
            for method in methods:
                for start in ("cold", "warm"):
                    on_run(len(runs), f"{method}, {start}")
                    with _variable("QTHA_LAB_WARM_SECONDS", "0" if start == "cold" else "600"):
                        runs.append(_measure(model, method, steps) | {"start": start})
    return {
        "benchmark": "start",
        **before,
        "settings": {"model": model, "methods": methods, "steps": steps, "rounds": rounds},
        "runs": runs,
    }


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """Rows of text, medians of each method and start.

    Seconds to the first point, CPU seconds to it and of every phase.
    """
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in figures["runs"]:
        groups.setdefault((run["method"], run["start"]), []).append(run)
    heading = (
        "method",
        "start",
        "first point, s",
        "CPU s",
        *PHASES,
        "overhead, CPU s",
        "training",
        "threads",
    )
    return [heading, *((*group, *_medians(runs)) for group, runs in groups.items())]


def _medians(runs: list[dict]) -> Iterator[str]:
    def median(figure: Callable[[dict], float]) -> float:
        return statistics.median(map(figure, runs))

    yield f"{median(lambda run: run['first_point']):.1f}"
    yield f"{median(lambda run: run['first_point_cpu']):.1f}"
    for phase in PHASES:
        yield f"{median(lambda run, phase=phase: run['cpu'].get(phase, 0)):.2f}"
    yield f"{median(beside_training):.1f}"
    yield f"{median(training_share):.0%}"
    yield f"{median(lambda run: run['threads']):.0f}"


def beside_training(run: dict) -> float:
    """CPU seconds of everything that is neither training nor evaluation."""
    return sum(s for phase, s in run["cpu"].items() if phase not in ("training", "evaluation"))


def training_share(run: dict) -> float:
    """Training's share of the time from the launch to the end."""
    return run["wall"].get("training", 0.0) / sum(run["wall"].values())


def caption(figures: dict[str, Any]) -> str:
    """What the table holds, and where it was measured."""
    of, facts = figures["settings"], figures["machine"]
    return (
        f"{of['model']}, {of['steps']} steps, medians of {of['rounds']} runs; phases in CPU"
        " seconds; overhead: all but training and evaluation; training: its share of the time from"
        f" the launch to the end; {facts['processor']}"
    )


def markdown(figures: dict[str, Any]) -> str:
    """The caption and the table for a page."""
    return f"{caption(figures)}\n\n{pipes(table(figures))}\n"


def _measure(model: str, method: str, steps: int) -> dict[str, Any]:
    import psutil

    from qtha_lab.experiment import Experiment
    from qtha_lab.experiment.run_directory import queue as slots
    from qtha_lab.runs import run as runs

    experiment = Experiment(model=model, method=method, training={"steps": steps})
    began = time.time()
    run = runs.launch(experiment, check=False)
    wall: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)
    offset, before, spent, phase, threads = 0, began, 0.0, "libraries", 0
    first: dict[str, float] = {}
    process, fresh, waiting = None, 0.0, 0.0
    while run.alive:
        time.sleep(LOOK_SECONDS)
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is None and (pid := slots.holder(run.files.lock)):
                process = psutil.Process(pid)
            if process is not None:
                now = _spent(process)
                fresh, spent = now - spent, now
        events, offset = run.events(offset)
        kind = events[0]["kind"] if events else ""
        waiting += fresh
        if events:
            cpu[OF_EVENT.get(kind, phase)] += waiting
            waiting = 0.0
        fresh = 0.0
        for event in events:
            wall[OF_EVENT.get(event["kind"], phase)] += event["t"] - before
            before, phase = event["t"], phase_after(event, phase)
            threads = max(threads, event["count"] if event["kind"] == "threads" else 0)
            if event["kind"] == "train" and not first:
                first = {"first_point": event["t"] - began, "first_point_cpu": sum(cpu.values())}
    status = run.status()
    if status.state != "finished":
        raise RuntimeError(f"{method}: {status.state}, {status.message}")
    return {
        "method": method, **first, "wall": dict(wall), "cpu": dict(cpu), "threads": threads,
    }  # fmt: skip


def phase_after(event: dict[str, Any], phase: str) -> str:
    """What a run does after an event, until the next one says otherwise.

    Example:
        >>> phase_after({"kind": "status", "state": "loading", "message": "model tiny"}, "libraries")
        'loading'
    """
    if event["kind"] == "generation":
        return "end"
    if event["kind"] == "status" and event["state"] == "loading":
        return "libraries" if event["message"] == "libraries" else "loading"
    return phase


def _spent(process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _loaded_server() -> None:
    """A server that has forked a worker already."""
    from qtha_lab.experiment import Experiment
    from qtha_lab.runs import run as runs

    with _variable("QTHA_LAB_WARM_SECONDS", "600"):
        runs.launch(Experiment(method="lora", training={"steps": 1}), check=False).wait()


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before

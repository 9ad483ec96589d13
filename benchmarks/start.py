"""Cost of a run beside its training steps: real workers, by phase, from the events of the run.

A run is launched alone, or is a further run of a launch, which waits for its slot. Processor time
is sampled while a worker runs, whenever an event arrives.
"""

import contextlib
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.machine import conditions
from benchmarks.reporting import Row, Show, Table, unseen
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import queue
from qtha_lab.runs.launch import launch_all

SAMPLE_SECONDS = 0.01
STARTS = {"alone": 1, "further": 2}  # runs of the launch, of which the last one is measured
PHASES = (
    "libraries", "loading", "training", "evaluation", "spectra", "checkpoints", "generation", "end",
)  # fmt: skip
# phase that ends with an event of this kind
OF_EVENT = {
    "train": "training", "eval": "evaluation", "general": "evaluation", "test": "evaluation",
    "spectrum": "spectra", "bottleneck": "spectra", "checkpoint": "checkpoints",
    "generation": "generation",
}  # fmt: skip


def bench_start(
    model: str = "tiny",
    methods: tuple[str, ...] = ("lora", "qtha"),
    steps: int = 5,
    rounds: int = 3,
    show: Show = unseen,
) -> dict[str, Any]:
    """Time a run from launch to its first loss, and its phases, by kind of start.

    Args:
        model: Base model.
        methods: Methods to launch.
        steps: Steps of every run.
        rounds: Runs of each method and kind of start.
        show: Called before each run with its number, the number of all, and its label.
    """
    before, measured = conditions(), []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, QTHA_LAB_RUNS=folder, QTHA_LAB_SLOTS="1"),
    ):
        for _ in range(rounds):
            for method in methods:
                for start in STARTS:
                    total = len(STARTS) * rounds * len(methods)
                    show(len(measured), total, f"{method}, {start}")
                    measured.append(
                        _measure(model, method, steps, STARTS[start]) | {"start": start}
                    )
    settings = {"model": model, "methods": list(methods), "steps": steps, "rounds": rounds}
    return {"benchmark": "start", **before, "settings": settings, "runs": measured}


def _measure(model: str, method: str, steps: int, count: int) -> dict[str, Any]:
    experiment = Experiment(model=model, method=method, training={"steps": steps})
    began = time.time()
    *others, run = launch_all([experiment] * count, check=False)
    for other in others:
        other.wait()
        began = time.time()
    before = began
    wall: dict[str, float] = defaultdict(float)
    cpu: dict[str, float] = defaultdict(float)
    first: dict[str, float] = {}
    process, offset, spent, counted, phase, threads = None, 0, 0.0, 0.0, "libraries", 0
    while run.alive:
        time.sleep(SAMPLE_SECONDS)
        with contextlib.suppress(psutil.NoSuchProcess):
            if process is None and (pid := queue.holder(run.files.lock)):
                process = psutil.Process(pid)
            if process is not None:
                times = process.cpu_times()
                spent = times.user + times.system
        events, offset = run.events(offset)
        if events:
            cpu[OF_EVENT.get(events[0]["kind"], phase)] += spent - counted
            counted = spent
        for event in events:
            wall[OF_EVENT.get(event["kind"], phase)] += event["t"] - before
            before, phase = event["t"], phase_after(event, phase)
            threads = max(threads, event["count"] if event["kind"] == "threads" else 0)
            if event["kind"] in ("train", "eval") and not first:
                first = {"first_point": event["t"] - began, "first_point_cpu": sum(cpu.values())}
    status = run.status()
    if status.state != "finished":
        raise RuntimeError(f"{method}: {status.state}, {status.message}")
    return {"method": method, **first, "wall": dict(wall), "cpu": dict(cpu), "threads": threads}


def phase_after(event: dict[str, Any], phase: str) -> str:
    """Return the phase of a run after an event.

    Example:
        >>> phase_after({"kind": "status", "state": "loading", "message": "tiny"}, "libraries")
        'loading'
    """
    if event["kind"] == "generation":
        return "end"
    if event["kind"] == "status" and event["state"] == "loading":
        return "libraries" if event["message"] == "libraries" else "loading"
    return phase


def overhead(run: dict) -> float:
    """Return the CPU seconds outside training and evaluation."""
    return sum(s for phase, s in run["cpu"].items() if phase not in ("training", "evaluation"))


def training_share(run: dict) -> float:
    """Return the share of training in the time from launch to end."""
    return run["wall"].get("training", 0.0) / sum(run["wall"].values())


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return medians per method and kind of start."""
    of = figures["settings"]
    caption = (
        f"{of['model']}, {of['steps']} steps, medians of {of['rounds']} runs; phases in CPU s;"
        " overhead: all but training and evaluation; training: share of the time from launch to end"
    )
    heading = (
        "method", "start", "first point, s", "CPU s", *PHASES, "overhead, CPU s", "training",
        "threads",
    )  # fmt: skip
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in figures["runs"]:
        groups.setdefault((run["method"], run["start"]), []).append(run)
    return [(caption, [heading, *((*group, *_medians(of)) for group, of in groups.items())])]


def _medians(of: list[dict]) -> Row:
    def median(figure: Callable[[dict], float]) -> float:
        return statistics.median(map(figure, of))

    return (
        f"{median(lambda run: run['first_point']):.1f}",
        f"{median(lambda run: run['first_point_cpu']):.1f}",
        *(f"{median(lambda run, p=phase: run['cpu'].get(p, 0)):.2f}" for phase in PHASES),
        f"{median(overhead):.1f}",
        f"{median(training_share):.0%}",
        f"{median(lambda run: run['threads']):.0f}",
    )

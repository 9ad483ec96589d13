"""What a long run costs those who watch it: one live point in a chart, and its status.

The runs are directories as a worker leaves them while it trains, of as many steps as are asked for; bytes are
those of the messages that a kernel would send to a page, counted where they leave.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import pipes
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory import queue as slots
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs.run import Run

LENGTHS = (1_000, 10_000, 100_000)


def bench_live(lengths: Sequence[int] = LENGTHS, points: int = 20) -> dict[str, Any]:
    """Measure what one more step of a run costs a chart that shows it.

    Args:
        lengths: Steps that the run has had before.
        points: Steps measured at each length; the figures are medians.

    Returns:
        `machine`, `commit`, and under `rows` one entry for each length: `steps`, `seconds` and
        `bytes` of a point, and `whole_bytes`, which a page that opens is sent.
    """
    before = conditions()
    rows = [_live(steps, points) for steps in lengths]
    return {"benchmark": "live", **before, "rows": rows}


def bench_status(lengths: Sequence[int] = LENGTHS, calls: int = 50) -> dict[str, Any]:
    """Measure `Run.status` of a run that trains.

    Args:
        lengths: Steps that the run has had.
        calls: At each length; the figures are medians.

    Returns:
        `machine`, `commit`, and under `rows` one entry for each length: `steps`, `seconds` of a
        status, and `seconds_changed`, of one after a step more.
    """
    before = conditions()
    rows = [_status(steps, calls) for steps in lengths]
    return {"benchmark": "status", **before, "rows": rows}


def markdown(figures: dict[str, Any]) -> str:
    """The rows as a table for a page."""
    return f"medians\n\n{pipes(table(figures))}\n"


def table(figures: dict[str, Any]) -> list[tuple[str, ...]]:
    """A heading and a row for each length."""
    if figures["benchmark"] == "live":
        heading = ("steps before", "ms a point", "bytes a point", "bytes to a page that opens")
        rows = [
            (
                f"{row['steps']:,}", f"{1e3 * row['seconds']:.2f}", f"{row['bytes']:,}",
                f"{row['whole_bytes']:,}",
            )
            for row in figures["rows"]
        ]  # fmt: skip
        return [heading, *rows]
    heading = ("steps", "ms", "ms after a step more")
    return [
        heading,
        *(
            (
                f"{row['steps']:,}", f"{1e3 * row['seconds']:.2f}",
                f"{1e3 * row['seconds_changed']:.2f}",
            )
            for row in figures["rows"]
        ),
    ]  # fmt: skip


@contextmanager
def _training(steps: int) -> Iterator[tuple[Run, Callable[[], None]]]:
    """A run of so many steps, and what writes the next one."""
    with tempfile.TemporaryDirectory() as folder:
        experiment = Experiment(method="lora", training={"steps": 2 * steps, "eval_every": 50})
        run = Run(RunDir.create(experiment, Path(folder)).path)
        lock = slots.hold(run.files.lock)  # as its worker holds it
        log, done = EventLog(run.files.events), 0

        def step() -> None:
            nonlocal done
            done += 1
            log.append("train", step=done, loss=5.0 + 1 / done, seconds=0.1, learning_rate=1e-3)
            if done % 50 == 0:
                log.append("eval", step=done, loss=4.5 + 1 / done)

        log.append("status", state="running", step=0, message="training")
        for _ in range(steps):
            step()
        try:
            yield run, step
        finally:
            log.close()
            if lock is not None:
                os.close(lock)


def _live(steps: int, points: int) -> dict[str, Any]:
    from widgets.runs.live import LivePlot

    with _training(steps) as (run, step), _messages() as sent:
        plot = LivePlot([run])
        plot.catch_up()
        sent.clear()
        plot.chart._answer(None, {"kind": "points", "page": "p", "counts": [], "version": -1}, [])
        whole, seconds, sizes = sum(sent), [], []
        for _ in range(points + 1):
            step()
            sent.clear()
            start = time.perf_counter()
            plot.catch_up()
            seconds.append(time.perf_counter() - start)
            sizes.append(sum(sent))
        return {
            "steps": steps,
            "seconds": statistics.median(seconds[1:]),
            "bytes": round(statistics.median(sizes[1:])),
            "whole_bytes": whole,
        }


def _status(steps: int, calls: int) -> dict[str, Any]:
    with _training(steps) as (run, step):
        same, changed = [], []
        for _ in range(calls):
            step()
            for seconds in (changed, same):
                start = time.perf_counter()
                run.status()
                seconds.append(time.perf_counter() - start)
        return {
            "steps": steps,
            "seconds": statistics.median(same),
            "seconds_changed": statistics.median(changed),
        }


@contextmanager
def _messages() -> Iterator[list[int]]:
    """The sizes of all messages that widgets send while this lasts."""
    import comm
    from comm.base_comm import BaseComm

    sizes: list[int] = []

    class Counting(BaseComm):
        def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **keys):
            sizes.append(len(json.dumps([data, metadata])) + sum(map(len, buffers or ())))

    create, comm.create_comm = comm.create_comm, Counting
    try:
        yield sizes
    finally:
        comm.create_comm = create

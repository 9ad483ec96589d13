"""Several methods with several seeds: launch what is missing, gather the summaries, say what they show.

Everything lies under `out`: `comparison.yaml`, `runs/`, `summary.json`. The runs queue by themselves,
and calling `run` again with the same `out` goes on where it was. Draws nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtha_lab import runs
from qtha_lab.compare.entries import entry
from qtha_lab.compare.findings import notes
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, editions
from qtha_lab.machines import Machines, machines_named
from qtha_lab.rundir import slots, write_json, write_whole
from qtha_lab.runs import Run, Status

Progress = Callable[[Run, Status], None]
POLL_SECONDS = 0.3
log = logging.getLogger(__name__)


def run(
    comparison: Comparison,
    out: Path | str,
    on_progress: Progress | None = None,
    *,
    on: str | None = None,
) -> dict[str, Any]:
    """Run every method with every seed, and write `out/summary.json` after each run that ends.

    Finished runs of the same experiment are kept, live ones are followed, stopped and dead ones resumed.
    Ctrl-C stops the runs softly before it is passed on.

    Args:
        comparison: What to run.
        out: The folder that holds everything; another call with it goes on where this one was.
        on_progress: Called with each run and its status some times per second.
        on: Machines that train the runs, as `qtha_lab.machines` names them; None is this one.

    Returns:
        `{"comparison": …, "runs": [one entry per run], "notes": [sentences]}`.

    Raises:
        Refusal: If the comparison cannot run, or another process works in `out`.

    Example:
        >>> run(Comparison(methods="lora,qtha"), "out/tiny")["notes"][0]  # doctest: +SKIP
        'All methods of a seed started from the same evaluation loss (no difference at all).'
    """
    out = Path(out)
    comparison.check(out / "runs")
    lock = slots.hold(out / ".lock")
    if lock is None:
        raise Refusal(f"another process runs a comparison in {out}")
    with contextlib.ExitStack() as held:
        held.callback(os.close, lock)
        machines = held.enter_context(contextlib.closing(machines_named(on))) if on else None
        write_whole(out / "comparison.yaml", editions.record(comparison))
        earlier = [(run, _what_counts(run.experiment)) for run in runs.list_runs(out / "runs")]
        queue = [_start(e, out / "runs", earlier, machines) for e in comparison.experiments()]
        return _follow(comparison, queue, out, on_progress or _nothing, machines)


def summarise(comparison: Comparison, queue: list[Run]) -> dict[str, Any]:
    """The summary of the runs that have ended so far, as in `summary.json`.

    Returns:
        `comparison`, as plain data; `runs`, an entry for each that has ended (see `entries.entry`);
        `notes`, sentences on what these numbers do and do not show.
    """
    entries = [entry(run, status) for run in queue if (status := run.status()).ended]
    return _summary(comparison, entries, len(queue))


def _summary(
    comparison: Comparison, entries: list[dict[str, Any]], expected: int
) -> dict[str, Any]:
    described = comparison.model_dump()
    return {"comparison": described, "runs": entries, "notes": notes(entries, expected)}


def _start(
    experiment: Experiment,
    folder: Path,
    earlier: list[tuple[Run, Experiment]],
    machines: Machines | None,
) -> Run:
    """The run of an experiment in a folder: as it is, resumed, or new.

    Args:
        experiment: What to run.
        folder: Of runs.
        earlier: Those in it, each with what counts of its description.
        machines: Where new ones are sent; None for here.
    """
    meaning = _what_counts(experiment)
    for run in (run for run, of_run in earlier if of_run == meaning):
        state = run.status().state
        log.info("%s is %s: not started anew", run.id, state)
        if state in ("stopped", "dead"):
            run.resume(on=machines)
        if state != "failed":
            return run
    return runs.launch(experiment, folder, check=False, on=machines)


def _what_counts(experiment: Experiment) -> Experiment:
    return runs.with_whole_paths(experiment).replace(name="")


def _nothing(run: Run, status: Status) -> None:
    """The progress of a run, shown nowhere."""


def _follow(
    comparison: Comparison,
    queue: list[Run],
    out: Path,
    on_progress: Progress,
    machines: Machines | None,
) -> dict[str, Any]:
    ended: dict[int, dict[str, Any]] = {}  # entries, by place in the queue
    try:
        while True:
            before = len(ended)
            for place, run in enumerate(queue):
                status = run.status()
                on_progress(run, status)
                if status.ended and place not in ended:
                    ended[place] = entry(run, status)
            if len(ended) > before:
                entries = [ended[place] for place in sorted(ended)]
                write_json(out / "summary.json", _summary(comparison, entries, len(queue)))
            if len(ended) == len(queue):
                return summarise(comparison, queue)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for run in queue:
            run.ask_to_stop()
        if machines:
            machines.close()
        for run in queue:
            run.stop()
        write_json(out / "summary.json", summarise(comparison, queue))
        raise

"""Several methods with several seeds: launch what is missing, gather the summaries, say what they show.

Everything lies under `out`: `comparison.yaml`, `runs/`, `summary.json`. The runs queue by themselves,
and calling `run` again with the same `out` goes on where it was. Draws nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtha_lab import runs
from qtha_lab.compare.findings import notes
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, editions
from qtha_lab.rundir import slots, write_json, write_whole
from qtha_lab.runs import Run, Status

Progress = Callable[[Run, Status], None]
POLL_SECONDS = 0.3


def run(
    comparison: Comparison, out: Path | str, on_progress: Progress | None = None
) -> dict[str, Any]:
    """Run every method with every seed, and write `out/summary.json` after each run that ends.

    Finished runs of the same experiment are kept, live ones are followed, stopped and dead ones resumed.
    Ctrl-C stops the runs softly before it is passed on.

    Args:
        on_progress: Called with each run and its status some times a second.

    Returns:
        `{"comparison": …, "runs": [one entry a run], "notes": [sentences]}`.

    Raises:
        ValueError: If the comparison cannot run, or another process works in `out`.
    """
    out = Path(out)
    comparison.check(out / "runs")
    lock = slots.hold(out / ".lock")
    if lock is None:
        raise Refusal(f"another process runs a comparison in {out}")
    try:
        write_whole(out / "comparison.yaml", editions.record(comparison))
        started = [_start(e, out / "runs") for e in comparison.experiments()]
        return _follow(comparison, started, out, on_progress or (lambda run, status: None))
    finally:
        os.close(lock)


def summarise(comparison: Comparison, started: list[Run]) -> dict[str, Any]:
    """The summary of the runs that have ended so far."""
    entries = [_entry(one, status) for one in started if (status := one.status()).ended]
    described = comparison.model_dump()
    return {"comparison": described, "runs": entries, "notes": notes(entries, len(started))}


def _start(experiment: Experiment, folder: Path) -> Run:
    """The run of an experiment in a folder: as it is, resumed, or new."""
    wanted = _what_counts(experiment)
    same = [one for one in runs.list_runs(folder) if _what_counts(one.experiment) == wanted]
    for found in same:
        state = found.status().state
        if state in ("stopped", "dead"):
            found.resume()
        if state != "failed":
            return found
    return runs.launch(experiment, folder, check=False)


def _what_counts(experiment: Experiment) -> Experiment:
    return runs.with_whole_paths(experiment).replace(name="")


def _follow(
    comparison: Comparison, started: list[Run], out: Path, on_progress: Progress
) -> dict[str, Any]:
    ended: set[str] = set()
    try:
        while True:
            before = len(ended)
            for one in started:
                status = one.status()
                on_progress(one, status)
                if status.ended:
                    ended.add(one.id)
            if len(ended) > before:
                write_json(out / "summary.json", summarise(comparison, started))
            if len(ended) == len(started):
                return summarise(comparison, started)
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        for one in started:
            one.ask_to_stop()
        for one in started:
            one.stop()
        write_json(out / "summary.json", summarise(comparison, started))
        raise


def _entry(one: Run, status: Status) -> dict[str, Any]:
    """What a run came to; for one without a summary, what it was and why it ended."""
    experiment = one.experiment
    plain = {
        "run_id": one.id,
        "model": experiment.model,
        "task": experiment.task,
        "method": experiment.method.name,
        "label": experiment.method.label,
        "seed": experiment.seed,
        "run_dir": str(one.path),
    }
    entry = (one.summary() or {}) if status.state in ("finished", "diverged") else {}
    return entry | plain | {"state": status.state, "message": status.message}

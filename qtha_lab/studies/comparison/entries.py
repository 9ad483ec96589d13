"""Flat entries of runs: identity from the directory and description, results from the summary.

A summary that is damaged or belongs to another run is not used.
"""

from __future__ import annotations

from typing import Any

from qtha_lab.experiment.run_directory.identity import identity
from qtha_lab.experiment.run_directory.summary_check import flaw
from qtha_lab.runs.run import Run, Status

__all__ = ["entry", "flaw", "standing"]


def entry(run: Run, status: Status) -> dict[str, Any]:
    """Return the entry of a run for `summary.json` of a comparison.

    The state is "unreadable" if the run's own summary is missing or damaged.
    """
    facts, state = identity(run.files), {"state": status.state, "message": status.message}
    summary = run.summary
    if status.state == "finished" or (status.state == "diverged" and summary is not None):
        wrong = flaw(summary, facts)
        if wrong or summary is None:
            return facts | {"state": "unreadable", "message": wrong}
        return summary | facts | state
    return facts | state


def standing(run: Run) -> dict[str, Any]:
    """Return the state of a run as `qtha-lab runs --json` prints it."""
    status = run.status()
    return {
        "run_id": run.id,
        "state": status.state,
        "step": status.step,
        "steps": status.steps,
        "message": status.message,
        "run_dir": str(run.path),
        "summary": run.summary,
    }

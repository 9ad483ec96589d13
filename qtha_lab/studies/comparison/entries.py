"""What a run came to, as one flat mapping: who it is from its directory and description, numbers from its summary.

A summary that is broken or tells of another run is not shown under this one's name.
"""

from __future__ import annotations

from typing import Any

from qtha_lab.experiment.run_directory.identity import identity
from qtha_lab.experiment.run_directory.summary_check import flaw
from qtha_lab.runs.run import Run, Status

__all__ = ["entry", "flaw", "standing"]


def entry(run: Run, status: Status) -> dict[str, Any]:
    """The entry of a run in a comparison's `summary.json`; its state is "unreadable" where the numbers are."""
    facts, state = identity(run.files), {"state": status.state, "message": status.message}
    summary = run.summary()
    if status.state == "finished" or (status.state == "diverged" and summary is not None):
        wrong = flaw(summary, facts, run.files.edition)
        if wrong or summary is None:
            return facts | {"state": "unreadable", "message": wrong}
        return summary | facts | state
    return facts | state


def standing(run: Run) -> dict[str, Any]:
    """Where a run is, for programs: what `qtha-lab runs --json` prints of it."""
    status = run.status()
    return {
        "run_id": run.id, "state": status.state, "step": status.step, "steps": status.steps,
        "message": status.message, "run_dir": str(run.path), "summary": run.summary(),
    }  # fmt: skip

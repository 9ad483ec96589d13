"""Record of one tuning trial as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialRecord:
    """Tuning trial with its point on the axes, state, objective and runs.

    Attributes:
        method: Label of the method, without the swept settings.
        number: Index of the trial among those of its method.
        state: "running", "complete", "pruned" or "failed".
        point: The value of each axis.
        value: Objective, averaged over the seeds; infinite if a run diverged, None before the end.
        runs: Ids of the runs, one per seed.
        message: Reason of a failure.
    """

    method: str
    number: int
    state: str
    point: dict[str, Any]
    value: float | None
    runs: list[str]
    message: str = ""

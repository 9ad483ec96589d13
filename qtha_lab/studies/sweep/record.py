"""What is known of one trial of a sweep, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialRecord:
    """One trial: where it is on the axes, how it stands and what it came to.

    Attributes:
        method: The label of its method, without the axes.
        number: Its place among the trials of its method.
        state: "running", "complete", "pruned" or "failed".
        point: The value of each axis.
        value: The objective, the mean over the seeds; infinite where a run diverged, None before the end.
        runs: The ids of its runs, a seed each.
        message: Why it failed.
    """

    method: str
    number: int
    state: str
    point: dict[str, Any]
    value: float | None
    runs: list[str]
    message: str = ""

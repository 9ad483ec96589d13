"""Status of a run from the end of its log: state, step and time left.

Computes a `Status` from events; does not check if a worker is running.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TERMINAL = ("stopped", "finished", "failed", "diverged", "dead", "unreadable")
RESUMABLE = ("stopped", "failed", "dead", "diverged")
SUMMARISED = ("finished", "diverged")
RATE_STEPS = 20


@dataclass(frozen=True)
class Status:
    """State of a run: queued, loading, running, stopping, or its end."""

    state: str
    step: int
    steps: int
    message: str = ""
    seconds_left: float | None = None

    @property
    def ended(self) -> bool:
        """True if the run has ended and only a resume can continue it."""
        return self.state in TERMINAL


def last_status(events: list[dict[str, Any]], steps: int) -> Status | None:
    """Return the last recorded state, or None if no state was recorded."""
    status = next((event for event in reversed(events) if event["kind"] == "status"), None)
    if status is None:
        return None
    left = seconds_left(events, steps) if status["state"] == "running" else None
    return Status(status["state"], last_step(events), steps, status["message"], left)


def last_step(events: list[dict[str, Any]]) -> int:
    """Return the last step; after a resume, counting restarts at the checkpoint."""
    for event in reversed(events):
        if event["kind"] == "train" or (event["kind"] == "status" and event["state"] == "running"):
            return event["step"]
    return next((e["step"] for e in reversed(events) if e["kind"] == "status"), 0)


def seconds_left(events: list[dict[str, Any]], steps: int) -> float | None:
    """Estimate the remaining seconds from the pace of the last steps, evaluations included.

    Example:
        >>> took = [{"kind": "train", "step": s, "t": 2.0 * s} for s in (1, 2, 3)]
        >>> seconds_left(took, steps=10)
        14.0
    """
    begins = [i for i, event in enumerate(events) if _begins(event)]
    since = events[begins[-1] if begins else 0 :]
    train = [event for event in since if event["kind"] == "train"][-RATE_STEPS:]
    if not train:
        return None
    left = max(0, steps - train[-1]["step"])
    if len(train) == 1:
        return left * train[0].get("seconds", 0.0)
    return left * max(0.0, train[-1]["t"] - train[0]["t"]) / (len(train) - 1)


def _begins(event: dict[str, Any]) -> bool:
    """Return True if training starts or resumes with this event, not a repetition."""
    running = event["kind"] == "status" and event["state"] == "running"
    return running and not event.get("again")

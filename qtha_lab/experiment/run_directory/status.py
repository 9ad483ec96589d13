"""Where a run is, read from the end of its log: state, step, time left.

Numbers and words in, a `Status` out; whether a worker lives is somebody else's to know.
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
    """Where a run is: queued, loading, running, stopping, or how it ended."""

    state: str
    step: int
    steps: int
    message: str = ""
    seconds_left: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless the run is resumed."""
        return self.state in TERMINAL


def last_status(events: list[dict[str, Any]], steps: int) -> Status | None:
    """The last recorded state, as it was then; None where there is none."""
    status = next((event for event in reversed(events) if event["kind"] == "status"), None)
    if status is None:
        return None
    left = seconds_left(events, steps) if status["state"] == "running" else None
    return Status(status["state"], last_step(events), steps, status["message"], left)


def last_step(events: list[dict[str, Any]]) -> int:
    """The last step taken; a resumed run begins again at its checkpoint."""
    for event in reversed(events):
        if event["kind"] == "train" or (event["kind"] == "status" and event["state"] == "running"):
            return event["step"]
    return next((e["step"] for e in reversed(events) if e["kind"] == "status"), 0)


def seconds_left(events: list[dict[str, Any]], steps: int) -> float | None:
    """From the pace of the last steps, evaluations included.

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
    """Whether training begins here; a repeated status only says that it goes on."""
    running = event["kind"] == "status" and event["state"] == "running"
    return running and not event.get("again")

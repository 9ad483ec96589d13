"""Recorded runs without and with an interruption, and their losses."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtha_lab.runs.run import Run

PAIR = Path(__file__).with_name("recorded") / "interrupted"


def recorded_pair() -> "tuple[Run, Run]":
    """Return a recorded run without interruption, and one that was killed and resumed.

    Example:
        >>> [len(interruptions(run)) for run in recorded_pair()]
        [0, 1]
    """
    from qtha_lab.runs.run import Run

    whole, killed = sorted(map(Run, sorted(PAIR.iterdir())), key=lambda r: len(interruptions(r)))
    return whole, killed


def interruptions(run: "Run") -> list[int]:
    """Return the steps at which a run was resumed."""
    started = [e for e in run.events()[0] if e["kind"] == "status" and e["message"] == "starting"]
    return [event["step"] for event in started[1:]]


def training_losses(run: "Run") -> list[float]:
    """Return the training loss of every step of a run, in nats."""
    return [event["loss"] for event in run.valid_events() if event["kind"] == "train"]

"""What a run came to, in one flat mapping: read from its events, its files and a few facts.

Trains nothing. `train_loss` is the mean over the last ten steps, because the loss of a single batch
says little; every other loss is the run's last evaluation. `seconds_per_step` is the median of the steps
taken with `threads`, the number of CPU threads that most steps had.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Any

from qtha_lab import measures
from qtha_lab.rundir import RunDir
from qtha_lab.rundir.events import history, read_events
from qtha_lab.rundir.identity import identity

LAST_STEPS = 10


def summarise(run: RunDir, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of `summary.json`."""
    events = read_events(run.events)[0]
    return {
        **identity(run),
        **facts,
        **measured(history(events)),
        "wall_seconds": wall_seconds(events),
        "adapter_bytes": adapter_bytes(run),
    }


def measured(events: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Losses, scores and step time in events that still hold (see `events.history`)."""
    kinds: dict[str, list[dict[str, Any]]] = {
        "train": [],
        "eval": [],
        "generation": [],
        "whole_base": [],
    }
    seconds: dict[int | None, list[float]] = {}
    threads = None
    for event in events:
        kinds.get(event["kind"], []).append(event)
        if event["kind"] == "threads":
            threads = event["count"]
        elif event["kind"] == "train" and "seconds" in event:
            seconds.setdefault(threads, []).append(event["seconds"])
    train, evals = kinds["train"], sorted(kinds["eval"], key=lambda event: event["step"])
    losses = [event["loss"] for event in train[-LAST_STEPS:]]
    last = evals[-1] if evals else {}
    usual = max(seconds, key=lambda count: len(seconds[count]), default=None)
    answers = kinds["generation"][-1] if kinds["generation"] else {}
    return {
        "steps": train[-1]["step"] if train else 0,
        "train_loss": None if None in losses or not losses else statistics.fmean(losses),
        "eval_loss_start": evals[0]["loss"] if evals and evals[0]["step"] == 0 else None,
        "eval_loss": last.get("loss"),
        **(
            {"eval_loss_whole_base": kinds["whole_base"][-1]["loss"]} if kinds["whole_base"] else {}
        ),
        **{name: last[name] for name in measures.scores() if name in last},
        **{name: answers[name] for name in measures.recorded("generation") if name in answers},
        "seconds_per_step": statistics.median(seconds[usual]) if seconds else None,
        **({} if usual is None else {"threads": usual}),
    }


def wall_seconds(events: Iterable[dict[str, Any]]) -> float:
    """Time at work, summed over the run's lives; waiting for a slot does not count."""
    total, before = 0.0, None
    for event in events:
        waits = event["kind"] == "status" and event["state"] == "queued"
        if before is not None and not waits:
            total += max(0.0, event["t"] - before)  # another process's clock may be behind
        elif before is None and event["kind"] != "status":
            continue
        before = None if waits else event["t"]
    return total


def adapter_bytes(run: RunDir) -> int | None:
    """Size of the saved adapter's tensors; None before it is saved."""
    files = list(run.adapter.glob("*.safetensors"))
    return sum(file.stat().st_size for file in files) if files else None

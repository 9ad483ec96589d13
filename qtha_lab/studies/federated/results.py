"""Results of a federation, read from its directory: one entry per method and seed.

Communication counts four bytes per trained parameter, to and from all clients. Protocol overhead
is not counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtha_lab.experiment import Federation
from qtha_lab.figures.loss_against_bytes import RoundResult
from qtha_lab.runs.absolute_paths import with_absolute_paths
from qtha_lab.runs.run import Run, list_runs


def summarise_federation(federation: Federation, out: Path) -> dict[str, Any]:
    """Return the content of `summary.json`; omit methods and seeds that have no run."""
    there = {run.experiment.model_dump_json(): run for run in list_runs(out / "runs")}
    entries = []
    for experiment in federation.experiments():
        run = there.get(with_absolute_paths(experiment).model_dump_json())
        if run is not None:
            entries.append({**run.outcome(), "rounds": rounds_of(run)})
    return {"federation": federation.model_dump(), "runs": entries}


def rounds_of(run: Run) -> list[RoundResult]:
    """Return evaluation loss and cumulative bytes sent after each round.

    Returns:
        One mapping per round with `round`, `eval_loss` and `bytes_sent`. Round 0 comes first if
        initialisation was evaluated.
    """
    events = run.valid_events()
    losses = {e["step"]: e["loss"] for e in events if e["kind"] == "eval"}
    rounds: list[RoundResult] = []
    sent = 0
    if losses.get(0) is not None:
        rounds.append({"round": 0, "eval_loss": losses[0], "bytes_sent": 0})
    for event in (e for e in events if e["kind"] == "round"):
        sent += event["bytes_down"] + event["bytes_up"]
        loss = losses[event["step"]]
        rounds.append({"round": event["round"], "eval_loss": loss, "bytes_sent": sent})
    return rounds

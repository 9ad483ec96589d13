"""What a federation came to, read from its directory: an entry for every method and seed, and its rounds.

Bytes are those of trained numbers in four bytes each, to all clients and from them; what else a protocol adds is
not counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtha_lab.experiment import Federation
from qtha_lab.figures.bytes_sent import Round
from qtha_lab.runs import run as runs
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.entries import entry


def summarise(federation: Federation, out: Path) -> dict[str, Any]:
    """The content of `summary.json`; methods and seeds that were not begun are left out.

    Args:
        federation: Its description.
        out: Its folder.
    """
    there = {run.experiment.model_dump_json(): run for run in runs.list_runs(out / "runs")}
    entries = []
    for experiment in federation.experiments():
        run = there.get(runs.with_absolute_paths(experiment).model_dump_json())
        if run is not None:
            entries.append({**entry(run, run.status()), "rounds": rounds_of(run)})
    return {"federation": federation.model_dump(), "runs": entries}


def rounds_of(run: Run) -> list[Round]:
    """The rounds of a server's run: its evaluation loss after each, and all bytes sent until then.

    Returns:
        One mapping a round, the start first where it was evaluated: `round`, `eval_loss`, `bytes_sent`.
    """
    events = run.history()
    losses = {e["step"]: e["loss"] for e in events if e["kind"] == "eval"}
    rounds: list[Round] = []
    sent = 0
    if losses.get(0) is not None:
        rounds.append({"round": 0, "eval_loss": losses[0], "bytes_sent": 0})
    for event in (e for e in events if e["kind"] == "round"):
        sent += event["bytes_down"] + event["bytes_up"]
        loss = losses[event["step"]]
        rounds.append({"round": event["round"], "eval_loss": loss, "bytes_sent": sent})
    return rounds

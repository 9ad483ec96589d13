"""Directory layout of a federation: server runs, client runs, one adapter per round.

OUT/federation.yaml, summary.json
OUT/runs/RUN                   the server: an ordinary run directory
OUT/runs/RUN/clients/3         client 3: a run directory with the client's share of the rows
OUT/runs/RUN/rounds/7          the adapter after round 7; round 0 is initialisation

Communication counts four bytes per trained parameter, to and from all clients. Protocol overhead
is not counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, staged, whole_number, write_atomically
from qtha_lab.experiment import Experiment, Federation
from qtha_lab.experiment.run_directory import RunDir, checkpoints
from qtha_lab.experiment.run_directory.plugins import check_plugins, record_plugins
from qtha_lab.figures.loss_against_bytes import RoundResult
from qtha_lab.runs import run
from qtha_lab.runs.launch import with_absolute_paths
from qtha_lab.runs.run import Run, list_runs

ADAPTER = "adapter_model.safetensors"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parties:
    """Run directories of one method and seed.

    Attributes:
        server: Directory of the server's run.
        clients: Directories of the clients' runs below it, in order.
    """

    server: RunDir
    clients: list[RunDir]

    def shared(self, number: int) -> Path:
        """Return the folder of the adapter after a round; round 0 is initialisation."""
        return self.server.path / "rounds" / str(number)

    def rounds_shared(self) -> int:
        """Return the number of averaged rounds; −1 before initialisation is written."""
        folder = self.server.path / "rounds"
        numbers = (whole_number(path.name) for path in folder.glob("*"))
        return max((number for number in numbers if number is not None), default=-1)

    def write_shared(self, number: int, tensors: dict[str, Tensor]) -> None:
        """Write the adapter after a round atomically."""
        place = self.shared(number)
        make_folder(place.parent, self.server.path)
        with staged(place, self.server.path) as new:
            make_folder(new)
            write_atomically(new / ADAPTER, save(tensors))


Rounds = Callable[[Parties, int], dict[str, Tensor]]


def parties(federation: Federation, experiment: Experiment, out: Path) -> Parties:
    """Return the run directories of one experiment of a federation; create missing ones.

    Raises:
        Refusal: If an existing client has another description, or plugins that were changed.
    """
    experiment = with_absolute_paths(experiment)
    there = (run for run in run.list_runs(out / "runs") if run.experiment == experiment)
    earlier = next(there, None)
    if earlier is None:
        server = RunDir.create(experiment, out / "runs", {"federation": out.name})
        record_plugins(server)
    else:
        server = earlier.files
        check_plugins(server)
    clients = []
    for number, described in enumerate(federation.clients_of(experiment), 1):
        client = RunDir(server.path / "clients" / str(number))
        if not client.exists:
            make_folder(client.checkpoints, server.path)
            record = described.to_yaml()
            write_atomically(client.experiment_file, record, server.path)
            record_plugins(client)
        elif client.experiment != described:
            raise Refusal(
                f"Client {number} of {server.path.name} must have the description of its "
                "federation, got another. Name a new folder."
            )
        clients.append(client)
    return Parties(server, clients)


def sent_by(client: RunDir, step: int) -> Path | None:
    """Return the saved adapter of a client after a step; None if missing or damaged."""
    folder = checkpoints.place(client.checkpoints, step)
    if not folder.exists():
        return None
    if wrong := checkpoints.damage(folder):
        log.warning("%s is damaged: %s", folder, wrong)
        return None
    return folder / ADAPTER


def summarise_federation(federation: Federation, out: Path) -> dict[str, Any]:
    """Return the content of `summary.json`; omit methods and seeds that have no run."""
    there = {run.experiment.model_dump_json(): run for run in list_runs(out / "runs")}
    outcomes = []
    for experiment in federation.experiments():
        run = there.get(with_absolute_paths(experiment).model_dump_json())
        if run is not None:
            outcomes.append({**run.outcome(), "rounds": rounds_of(run)})
    return {"federation": federation.model_dump(), "runs": outcomes}


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

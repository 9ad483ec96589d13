"""Federated fine-tuning through Flower: server messages and Flower's FedAvg.

Flower's simulation processes run the same client updates as `rounds`; runs, folders and curves are
the same. The average is summed in single precision, in the clients' order, so numbers equal those
of the plain loop up to rounding. Flower requires older releases of typer, rich, packaging and
protobuf than the tests of this project. Install its extra, `pip install "qtha-lab[federated]"`, in
a separate environment.

Source:
    Flower, arXiv:2007.14390; `flwr` 1.42, `run_simulation` and `serverapp.strategy.FedAvg`.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import load_tensors, scratch_folder, write_atomically
from qtha_lab.experiment import Federation
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.studies.federated.client_steps import ClientRounds
from qtha_lab.studies.federated.federation_study import federate
from qtha_lab.studies.federated.folder import (
    ADAPTER,
    Parties,
    Rounds,
    sent_by,
    summarise_federation,
)
from qtha_lab.studies.work import OnProgress, ignore

INSTALL = 'pip install "qtha-lab[federated]"'


def check_flower(federation: Federation) -> None:
    """Refuse a federation that Flower cannot run.

    Raises:
        Refusal: If Flower is not installed, or `angles` is not "mean".
    """
    if importlib.util.find_spec("flwr") is None:
        raise Refusal(
            f"A federation on Flower cannot be run without flwr: {INSTALL}. Use a separate "
            f"environment, since flwr needs older releases of typer, rich, packaging and protobuf."
        )
    if federation.angles != "mean":
        raise Refusal(f"angles must be mean on Flower, got {federation.angles}.")


def federate_on_flower(
    federation: Federation,
    out: Path | str = "out/federation",
    on_progress: OnProgress = ignore,
) -> dict[str, Any]:
    """Train every method by federated averaging through Flower's simulation.

    Ray processes run the client updates; each has the threads of one run. Arguments and result are
    those of `federate`.

    Args:
        federation: Federation to train.
        out: Folder of all results.
        on_progress: Callback with the server's run and its status, after every round.

    Raises:
        Refusal: As `federate`, and if Flower is not installed or a client returns an error.
    """
    check_flower(federation)
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from flwr.clientapp import ClientApp  # pyright: ignore[reportMissingImports]
    from flwr.serverapp import Grid, ServerApp  # pyright: ignore[reportMissingImports]
    from flwr.simulation import run_simulation  # pyright: ignore[reportMissingImports]

    ends: list[BaseException] = []
    server, client = ServerApp(), ClientApp()
    folder = str(Path(out).resolve())

    @server.main()
    def main(grid: Grid, context: Any) -> None:
        try:
            rounds = _rounds(grid, federation.clients)
            federate(federation, folder, on_progress, rounds=rounds)
        except BaseException as end:  # Flower's thread would replace the message of the error
            ends.append(end)

    client.train()(_client_round)
    threads = max(1, federation.training.threads or 1)
    run_simulation(
        server,
        client,
        federation.clients,
        backend_config={"client_resources": {"num_cpus": threads, "num_gpus": 0.0}},
    )
    if ends:
        raise ends[0]
    return summarise_federation(federation, Path(out))


def _rounds(grid: Any, clients: int) -> Rounds:
    """Return the function that runs one round through Flower, for `federate`.

    A round sends messages to all clients, collects the replies and averages them.
    """
    from flwr.app import ArrayRecord, ConfigRecord  # pyright: ignore[reportMissingImports]
    from flwr.serverapp.strategy import FedAvg  # pyright: ignore[reportMissingImports]

    strategy = FedAvg(fraction_evaluate=0.0, min_train_nodes=clients, min_available_nodes=clients)

    def play(of: Parties, number: int) -> dict[str, Tensor]:
        shared = ArrayRecord(load_tensors(of.shared(number - 1) / ADAPTER))
        order = ConfigRecord({"server": str(of.server.path), "round": number})
        messages = strategy.configure_train(number, shared, order, grid)
        replies = list(grid.send_and_receive(messages))
        for reply in replies:
            if reply.has_error():
                raise Refusal(
                    f"Every client of {of.server.path.name} must respond, got {reply.error.reason}."
                )
        for reply in replies:
            if sentence := reply.content.config_records["end"]["message"]:
                raise Refusal(f"{of.server.path.name}: {sentence}")
        replies.sort(key=lambda reply: reply.content.config_records["end"]["client"])
        arrays, _ = strategy.aggregate_train(number, replies)
        if arrays is None:
            raise Refusal(
                f"A client of {of.server.path.name} must respond in round {number}, got no "
                "response."
            )
        kinds = {
            name: value.dtype
            for name, value in load_tensors(of.shared(number - 1) / ADAPTER).items()
        }
        return {name: value.to(kinds[name]) for name, value in arrays.to_torch_state_dict().items()}

    return play


def _client_round(message: Any, context: Any) -> Any:
    """Run one client update in a Flower process; reply with tensors and row count."""
    from flwr.app import (  # pyright: ignore[reportMissingImports]
        ArrayRecord,
        ConfigRecord,
        Message,
        MetricRecord,
        RecordDict,
    )  # pyright: ignore[reportMissingImports]

    order = message.content["config"]
    number, client = int(order["round"]), int(context.node_config["partition-id"])
    end, rows, tensors = _train_client(
        Path(str(order["server"])), client, number, message.content["arrays"].to_torch_state_dict()
    )
    content = RecordDict(
        {
            "arrays": ArrayRecord(tensors),
            "metrics": MetricRecord({"num-examples": rows}),
            "end": ConfigRecord({"client": client, "message": end}),
        }
    )
    return Message(content=content, reply_to=message)


_SERVERS: dict[Path, tuple[ClientRounds, object]] = {}


def _train_client(
    server: Path, client: int, number: int, shared: Mapping[str, Tensor]
) -> tuple[str, int, dict[str, Tensor]]:
    """Run one client update; return its failure message, row count and tensors.

    The message is "" after a successful update.
    """
    client_rounds = _client_rounds_of(server)
    with scratch_folder() as folder:
        tensors = {name: t.contiguous() for name, t in shared.items()}
        write_atomically(Path(folder) / ADAPTER, save(tensors))
        outcome = client_rounds.train(client, number, Path(folder))
    if outcome is not None:
        return f"{outcome.state}: {outcome.message}", 1, dict(shared)
    files = client_rounds.of.clients[client]
    sent = sent_by(files, number * client_rounds.federation.steps_per_round)
    assert sent is not None  # a successful update has saved it
    return "", len(resolve(files.experiment).task.train), load_tensors(sent)


def _client_rounds_of(server: Path) -> ClientRounds:
    """Load the model and the run directories of a federation once per process."""
    if server not in _SERVERS:
        _SERVERS.clear()
        folder = server.parent.parent
        federation = trusted(folder, Federation.from_yaml(folder / "federation.yaml", links=False))
        clients = sorted((server / "clients").iterdir(), key=lambda path: int(path.name))
        of = Parties(RunDir(server), [RunDir(path) for path in clients])
        aside = scratch_folder()  # the server writes the events of its own run
        client_rounds = ClientRounds(
            federation, of, EventLog(Path(aside.name) / "events.jsonl"), lambda: None
        )
        _SERVERS[server] = client_rounds, aside
    return _SERVERS[server][0]

"""Federated averaging in one process: client updates, average, next round.

A client is an ordinary run that stops at the end of every round, so its optimiser state continues.
A killed process loses at most the steps since its last checkpoint. All clients of a method use one
model in memory.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from peft import get_peft_model_state_dict
from torch import Tensor

from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    load_tensors,
    make_folder,
    refuse_inner_links,
    sync_tree,
    write_atomically,
    write_json,
)
from qtha_lab.experiment import Federation
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.experiment.run_directory.plugins import record_trust
from qtha_lab.experiment.run_directory.scheduler_process import LEVELS
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.run import Run, Status
from qtha_lab.studies.federated.averaging import average
from qtha_lab.studies.federated.client_steps import ClientRounds
from qtha_lab.studies.federated.folder import Parties, parties, sent_by
from qtha_lab.studies.federated.results import summarise_federation
from qtha_lab.training import artifacts
from qtha_lab.training.early_stopping import load_weights
from qtha_lab.training.evaluation import Interrupted, evaluating
from qtha_lab.training.finetune import TrainingResult
from qtha_lab.training.memory import PeakMemory
from qtha_lab.training.scores import load_scorers
from qtha_lab.training.setup import Loaded
from qtha_lab.training.test_evaluation import write_test

Progress = Callable[[Run, Status], None]
Rounds = Callable[[Parties, int], dict[str, Tensor]]
"""Function from a round's number and initial adapter to the clients' average."""
log = logging.getLogger(__name__)


def federate(
    federation: Federation,
    out: Path | str = "out/federation",
    on_progress: Progress = lambda run, status: None,
    rounds: Rounds | None = None,
) -> dict[str, Any]:
    """Train every method by federated averaging.

    Another call with the same `out` continues from the last saved state.

    Args:
        federation: Federation to train.
        out: Folder of all results.
        on_progress: Callback with the server's run and its status, before every client update and
            after every round.
        rounds: Function that runs a round and returns its average, as in `federate_on_flower`;
            None trains the clients in this process.

    Returns:
        The content of `summary.json`: the federation, and an entry per method and seed with its
        rounds and bytes sent.

    Raises:
        Refusal: If the federation cannot run, another process uses `out`, or a run diverged or was
            stopped.

    Example:
        >>> described = Federation(methods="lora(r=2)", clients=2, rounds=2, training={"steps": 4})
        >>> federate(described, "out/two")["runs"][0]["rounds"][-1]["bytes_sent"]  # doctest: +SKIP
        184320
    """
    out = Path(out)
    refuse_inner_links(out, LEVELS + 1)
    federation.check(out / "runs")
    _check_folder(federation, out)
    make_folder(out)
    lock = queue.hold(out / ".lock")
    if lock is None:
        raise Refusal(
            f"{out} must have one process of a federation, got a second one. Wait for the first "
            "one, or choose another folder."
        )
    threads = torch.get_num_threads()
    try:
        record_trust(out, federation)
        write_atomically(out / "federation.yaml", federation.to_yaml())
        for experiment in federation.experiments():
            _train(federation, parties(federation, experiment, out), on_progress, rounds)
            write_json(out / "summary.json", summarise_federation(federation, out))
        return summarise_federation(federation, out)
    finally:
        torch.set_num_threads(threads)
        os.close(lock)


def _check_folder(federation: Federation, out: Path) -> None:
    file = out / "federation.yaml"
    if file.exists() and Federation.from_yaml(file) != federation:
        raise Refusal(
            f"--out must be a new folder or that of this federation, got {out}. Name a new folder."
        )


def _train(
    federation: Federation, of: Parties, on_progress: Progress, rounds: Rounds | None
) -> None:
    """Train the remaining rounds of one method and seed.

    Raises:
        Refusal: If a run diverged or a stop was requested.
    """
    run = Run(of.server.path)
    if run.status().state == "finished":
        on_progress(run, run.status())
        return
    with ExitStack() as held:
        for files in (of.server, *of.clients):
            if Run(files.path).status().state != "finished":
                queue.sign(held.enter_context(taken_over(files, "starting")), os.getpid())
        events = EventLog(of.server.events)
        held.callback(events.close)
        outcome = TrainingResult("failed", 0)
        try:
            outcome = _Server(
                federation, of, events, lambda: on_progress(run, run.status()), rounds
            ).work()
        except (Interrupted, KeyboardInterrupt) as reason:
            outcome = TrainingResult("stopped", _step(of.server), "the same command goes on")
            if isinstance(reason, KeyboardInterrupt):
                raise
        except Exception as error:
            outcome = TrainingResult(
                "failed", _step(of.server), fault_log.fault_sentence(error, of.server.log)
            )
            raise
        finally:
            events.append("status", state=outcome.state, step=outcome.step, message=outcome.message)
            on_progress(run, run.status())
    if outcome.state != "finished":
        raise Refusal(f"{of.server.path.name} is {outcome.state}: {outcome.message}")


def _step(run: RunDir) -> int:
    return max((e["step"] for e in read_events(run.events)[0] if e["kind"] == "round"), default=0)


class _Server:
    """Server loop over the rounds of one method and seed.

    Args:
        federation: Description of the federation.
        of: Run directories of server and clients.
        events: Event log of the server's run.
        look: Callback before every client update and after every averaged round.
        rounds: Function that runs a round in other processes; None trains the clients in this
            process.
    """

    def __init__(
        self,
        federation: Federation,
        of: Parties,
        events: EventLog,
        look: Callable[[], None],
        rounds: Rounds | None,
    ) -> None:
        self.federation, self.of, self.events, self.look = federation, of, events, look
        self.client_rounds, self.rounds = ClientRounds(federation, of, events, look), rounds
        self.session = self.client_rounds.session

    @property
    def loaded(self) -> Loaded:
        """Model shared by all clients, with the adapter at initialisation."""
        return self.client_rounds.loaded

    def work(self) -> TrainingResult:
        """Continue from the last averaged round to the end.

        Raises:
            Interrupted: If a stop of the server's run is requested.
        """
        artifacts.write_environment(self.session, self.loaded)
        if self.session.training.generate_rows:
            load_scorers()
        memory = PeakMemory(self.loaded.model)
        if self.of.rounds_shared() < 0:
            state = get_peft_model_state_dict(self.loaded.model)
            self.of.write_shared(0, {n: t.detach().clone().contiguous() for n, t in state.items()})
        for number in range(max(1, self.of.rounds_shared()), self.federation.rounds + 1):
            if number > self.of.rounds_shared():
                outcome = self._play(number)
                if outcome is not None:
                    return outcome
            self._record(number)
        self._end(memory)
        return TrainingResult("finished", self.session.steps)

    def _play(self, number: int) -> TrainingResult | None:
        """Run one round and write its average; return an outcome if a client diverged."""
        if self.rounds is not None:
            self.of.write_shared(number, self.rounds(self.of, number))
            return None
        for client in range(self.federation.clients):
            outcome = self.client_rounds.train(client, number, self.of.shared(number - 1))
            if outcome is not None:
                return outcome
        self._average(number)
        return None

    def _average(self, number: int) -> None:
        step = number * self.federation.steps_per_round
        files = [sent_by(client, step) for client in self.of.clients]
        states = [load_tensors(file) for file in files if file is not None]
        rows = [len(resolve(client.experiment).task.train) for client in self.of.clients]
        self.of.write_shared(number, average(states, rows, self.federation.angles))

    def _record(self, number: int) -> None:
        """Record the shared adapter's loss, the mean client steps and the bytes sent."""
        per_round = self.federation.steps_per_round
        step = number * per_round
        load_weights(self.loaded.model, self.of.shared(number))
        if self.session.is_recorded("round", step):
            return
        if number == 1:
            self._copy_start()
        for event in self._mean_steps(step - per_round + 1, step):
            self.events.append("train", **event)
        self.events.append("eval", step=step, **self._scores())
        sent = (
            4 * self.federation.clients * sum(artifacts.count_trained(self.loaded.model).values())
        )
        # each client derives the initial adapter from the seed, so round 1 sends nothing down
        self.events.append(
            "round", step=step, round=number, bytes_down=sent * (number > 1), bytes_up=sent
        )
        log.info("%s: round %d averaged", self.of.server.path.name, number)
        self.look()

    def _copy_start(self) -> None:
        """Copy the evaluation at step 0 from the first client; all clients share it."""
        events = history(read_events(self.of.clients[0].events)[0])
        first = next((e for e in events if e["kind"] == "eval" and e["step"] == 0), None)
        if first is not None:
            self.events.append("eval", **{k: v for k, v in first.items() if k not in ("t", "kind")})

    def _mean_steps(self, first: int, last: int) -> Iterator[dict[str, Any]]:
        """Yield per step the mean loss and the summed seconds of all clients.

        The seconds are summed because the clients train one after the other.
        """
        by_client: dict[int, list[dict[str, Any]]] = {}
        for client in self.of.clients:
            for event in history(read_events(client.events)[0]):
                if event["kind"] == "train" and first <= event["step"] <= last:
                    by_client.setdefault(event["step"], []).append(event)
        for step, events in sorted(by_client.items()):
            yield {
                "step": step,
                "loss": sum(event["loss"] for event in events) / len(events),
                "learning_rate": events[0]["learning_rate"],
                "seconds": sum(event["seconds"] for event in events),
            }

    def _scores(self) -> dict[str, float]:
        with evaluating(self.loaded.model), self._autocast():
            return self.loaded.scores(self.session)

    def _autocast(self) -> contextlib.AbstractContextManager:
        device = next(self.loaded.model.parameters()).device.type
        is_half = self.session.training.precision == "bfloat16"
        return torch.autocast(device, torch.bfloat16) if is_half else contextlib.nullcontext()

    def _end(self, memory: PeakMemory) -> None:
        """Test the last shared adapter and write the files of an ordinary run."""
        session, loaded = self.session, self.loaded
        write_test(session, loaded, session.steps, self._autocast)
        artifacts.write_answers(session, loaded, session.steps)
        artifacts.write_adapter(session, loaded)
        artifacts.write_summary(session, loaded, memory, "finished")
        artifacts.write_model_card(session, loaded)
        sync_tree(self.of.server.adapter)

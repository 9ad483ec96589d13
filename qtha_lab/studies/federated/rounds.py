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
from typing import Any

import torch
from peft import get_peft_model_state_dict

from qtha_lab.core import fault_log
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    load_tensors,
    sync_tree,
)
from qtha_lab.experiment import Federation
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.runs.process_start import taken_over
from qtha_lab.runs.run import Run
from qtha_lab.studies.federated.averaging import average
from qtha_lab.studies.federated.client_steps import ClientRounds
from qtha_lab.studies.federated.folder import Parties, Rounds, sent_by
from qtha_lab.studies.work import Work
from qtha_lab.training import artifacts
from qtha_lab.training.early_stopping import load_weights
from qtha_lab.training.evaluation import Interrupted, evaluating
from qtha_lab.training.finetune import TrainingResult
from qtha_lab.training.memory import PeakMemory
from qtha_lab.training.scores import load_scorers
from qtha_lab.training.setup import Loaded
from qtha_lab.training.test_evaluation import write_test

log = logging.getLogger(__name__)


def train_rounds(
    federation: Federation, of: Parties, work: Work, rounds: Rounds | None = None
) -> None:
    """Train the remaining rounds of one method and seed.

    Raises:
        Refusal: If a run diverged or a stop was requested.
    """
    run = Run(of.server.path)
    if run.status().state == "finished":
        return work.follow([run])
    with ExitStack() as held:
        for files in (of.server, *of.clients):
            if Run(files.path).status().state != "finished":
                queue.sign(held.enter_context(taken_over(files, "starting")), os.getpid())
        events = EventLog(of.server.events)
        held.callback(events.close)
        outcome = TrainingResult("failed", 0)
        try:
            outcome = _Server(federation, of, events, lambda: work.follow([run]), rounds).work()
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
            work.follow([run])
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

"""Client updates: each client trains its steps of a round as an ordinary run.

All clients use one model in memory. `rounds` sets their order and computes the average.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from transformers import TrainerCallback

from qtha_lab.experiment import Federation
from qtha_lab.experiment.plan import resolve
from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs.run import Run
from qtha_lab.studies.federated.folder import Parties, sent_by
from qtha_lab.training.early_stopping import load_weights
from qtha_lab.training.evaluation import Interrupted
from qtha_lab.training.finetune import TrainingResult, fine_tune
from qtha_lab.training.processes import Threads
from qtha_lab.training.session import Session
from qtha_lab.training.setup import Loaded, load_session


class ClientRounds:
    """Client updates of one method and seed in one process.

    Args:
        federation: Description of the federation.
        of: Run directories of server and clients.
        events: Event log of the server's run.
        look: Callback before every client update.
    """

    def __init__(
        self, federation: Federation, of: Parties, events: EventLog, look: Callable[[], None]
    ) -> None:
        self.federation, self.of, self.look = federation, of, look
        self.threads = queue.n_threads(federation.training.threads)
        threads = Threads(self.threads, lambda: self.threads, events)
        self.session = Session.begin(of.server, events, of.server.stop.exists, threads)
        threads.adjust(0)

    @cached_property
    def loaded(self) -> Loaded:
        """Model shared by all clients, with the adapter at initialisation."""
        return load_session(self.session)

    def train(self, client: int, number: int, shared: Path) -> TrainingResult | None:
        """Train one client for the steps of one round.

        Args:
            client: Index of the client, from 0.
            number: Number of the round, from 1.
            shared: Folder of the shared adapter at the beginning of the round.

        Returns:
            The outcome of the federation if the client diverged; None otherwise.

        Raises:
            Interrupted: If a stop of the server's run is requested.
        """
        files, per_round = self.of.clients[client], self.federation.steps_per_round
        end = number * per_round
        if self._has_done(files, end):
            return None
        self.session.report(
            "running",
            f"round {number} of {self.federation.rounds}, client {client + 1} of"
            f" {self.federation.clients}",
            step=end - per_round,
        )
        self.look()
        events = EventLog(files.events)
        callback = ClientRound(self.loaded, shared, end - per_round, end, self.federation.proximal)
        try:
            outcome = fine_tune(
                files,
                events,
                self.session.stop_requested,
                self.threads,
                loader=self._for_client,
                callbacks=[callback],
            )
            waits = outcome.state == "stopped" and self._has_done(files, end)
            events.append(
                "status",
                state="queued" if waits else outcome.state,
                step=outcome.step,
                message=f"waits for round {number + 1}" if waits else outcome.message,
            )
        finally:
            events.close()
            _take_off_wrappers(self.loaded)
        if outcome.state == "diverged":
            message = f"client {client + 1} diverged in round {number}: {outcome.message}"
            return TrainingResult("diverged", end - per_round, message)
        if not self._has_done(files, end):
            raise Interrupted
        return None

    def _has_done(self, files: RunDir, end: int) -> bool:
        """Return True if a client has saved its last step of a round.

        In the last round, the client's run must also be finished.
        """
        is_last = end == self.session.steps
        ended = not is_last or Run(files.path).status().state == "finished"
        return sent_by(files, end) is not None and ended

    def _for_client(self, session: Session) -> Loaded:
        """Return the shared model with the rows of one client."""
        plan = resolve(session.experiment)
        longest = session.training.max_length
        rows = plan.task.encode(plan.task.train, self.loaded.rows.tokenizer, longest)
        return replace(self.loaded, plan=plan, training_rows=rows)


def _take_off_wrappers(loaded: Loaded) -> None:
    """Remove the Trainer's wrappers from the model, so that they do not accumulate."""
    from accelerate.utils import extract_model_from_parallel

    extract_model_from_parallel(loaded.model, keep_fp32_wrapper=False)


class ClientRound(TrainerCallback):
    """Trainer callback for the steps of one client in one round.

    Args:
        loaded: Model under training, with its rows.
        shared: Folder of the shared adapter at the beginning of the round.
        begin: First step of the round. A session resumed within the round keeps its own weights.
        end: Step at which the round ends; the client saves a checkpoint there.
        proximal: μ of FedProx; 0 is FedAvg.
    """

    def __init__(self, loaded: Loaded, shared: Path, begin: int, end: int, proximal: float) -> None:
        self.loaded, self.shared = loaded, shared
        self.begin, self.end, self.proximal = begin, end, proximal
        self.anchors: list[Tensor] = []

    def on_train_begin(self, args, state, control, **kwargs):
        """Load the shared adapter, unless the round was already in progress."""
        begun = self._trained_values() if state.global_step != self.begin else None
        load_weights(self.loaded.model, self.shared)
        if self.proximal:
            self.anchors = self._trained_values()
        if begun is not None:
            with torch.no_grad():
                for parameter, value in zip(self._trained(), begun, strict=True):
                    parameter.copy_(value)

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        """Add the proximal term of FedProx to every gradient."""
        for parameter, anchor in zip(self._trained(), self.anchors, strict=False):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - anchor, alpha=self.proximal)

    def on_step_end(self, args, state, control, **kwargs):
        """Save a checkpoint and stop training at the end of the round."""
        if state.global_step >= self.end:
            control.should_save = control.should_training_stop = True

    def _trained(self) -> list[torch.nn.Parameter]:
        return [p for p in self.loaded.model.parameters() if p.requires_grad]

    def _trained_values(self) -> list[Tensor]:
        return [parameter.detach().clone() for parameter in self._trained()]

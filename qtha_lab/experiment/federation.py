"""Description of a federation: clients that train on their own rows, and an averaging server.

Every client is an experiment with a `share` of the training rows. `qtha_lab.studies.federated` runs
them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import plan, validation
from qtha_lab.experiment.axes import COMMON
from qtha_lab.experiment.description import MethodsAndSeeds
from qtha_lab.experiment.experiment import Experiment
from qtha_lab.experiment.objectives import phases_text


class Federation(MethodsAndSeeds, init=False):
    """Federation of several methods with several seeds.

    Clients train on their own rows and send only the trained parameters. `training.steps` is the
    number of steps per client over all rounds, so a round has `steps / rounds` steps.

    Example:
        >>> federation = Federation(
        ...     methods="lora", clients=2, rounds=4, split="dirichlet(0.3)", steps=20
        ... )
        >>> [client.training.share for client in federation.clients_of(federation.experiments()[0])]
        ['1/2 dirichlet(0.3)', '2/2 dirichlet(0.3)']
        >>> federation.steps_per_round
        5
    """

    clients: int = Field(default=8, ge=1, le=1000, json_schema_extra=COMMON)
    """Number of clients."""
    rounds: int = Field(default=10, ge=1, json_schema_extra={"unit": "rounds", **COMMON})
    """Number of averages by the server; divides the steps."""
    split: str = Field(default="equal", json_schema_extra=COMMON)
    """Split of the training rows: equal, or dirichlet(0.3) over labels (over amounts where a task
    has none)."""
    proximal: float = Field(default=0.0, ge=0)
    """Coefficient mu of FedProx, which pulls a client to its initial parameters of the round; 0 is
    FedAvg."""
    angles: Literal["mean", "circular"] = "mean"
    """Average of circuit angles: as numbers, or as directions."""

    @field_validator("split")
    @classmethod
    def _known_split(cls, split: str) -> str:
        from qtha_lab.tasks.client_shards import alpha_of

        alpha_of(split)
        return split.strip()

    @model_validator(mode="after")
    def _whole_rounds(self) -> Federation:
        if self.training.steps % self.rounds:
            raise Refusal(
                f"steps must be a multiple of rounds={self.rounds}, got {self.training.steps}."
            )
        if self.training.share:
            raise Refusal(
                f"share must be empty in a federation, got {self.training.share}. split sets it."
            )
        if self.training.phases:
            phases = phases_text(self.training.phases)
            raise Refusal(f"phases must be empty in a federation, got {phases:.60}.")
        if teacher := self.training.teacher_run:
            raise Refusal(f"teacher must be empty in a federation, got {teacher:.60}.")
        return self

    @property
    def steps_per_round(self) -> int:
        """Optimiser steps of a client between two averages."""
        return self.training.steps // self.rounds

    def experiments(self) -> list[Experiment]:
        """Return the server's experiment for every method and seed, grouped by seed."""
        return [
            Experiment(**self.shared_fields, method=method, training=self.training, seed=seed)
            for seed in self.seeds
            for method in self.scaled_methods()
        ]

    def clients_of(self, experiment: Experiment) -> list[Experiment]:
        """Return the clients' experiments for one of the server's experiments."""
        split = "" if self.split == "equal" else f" {self.split}"
        shares = [f"{number}/{self.clients}{split}" for number in range(1, self.clients + 1)]
        training = experiment.training
        return [experiment.replace(training=training.replace(share=share)) for share in shares]

    def check(self, runs_dir: Path | None = None) -> None:
        """Refuse invalid runs, clients without rows, and an initialisation that reads rows.

        Raises:
            Refusal: With the rule and the value.
        """
        from qtha_lab.adapters import initialisation_rows

        for experiment in self.experiments():
            whole = plan.resolve(experiment)
            validation.check_run(whole, runs_dir)
            _ = plan.resolve(
                self.clients_of(experiment)[0]
            ).task  # refuses if any client has no rows
            if initialisation_rows(whole.config):
                raise Refusal(
                    f"methods must not be initialised from training rows in a federation, got "
                    f"{experiment.method.label}."
                )

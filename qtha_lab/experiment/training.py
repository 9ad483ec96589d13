"""Description of a training: steps, batches, optimiser, evaluation, objective and phases."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import Field, SerializationInfo, field_validator, model_serializer, model_validator

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, setting_of_field
from qtha_lab.experiment.flat_names import (
    GROUPS,
    default_of,
    flattened,
    group_fields,
    named_fields,
)
from qtha_lab.experiment.phases import Phase, named_phases, phases_text
from qtha_lab.experiment.search import COMMON
from qtha_lab.experiment.training_groups import (
    OBJECTIVES,
    Distillation,
    Evaluation,
    Objective,
    Optim,
    Preference,
    Reinforce,
    Supervised,
)
from qtha_lab.experiment.validated_model import Declared

Tracker = Literal["none", "tensorboard", "wandb", "mlflow"]
OBJECTIVE = "Training objective; each but supervised has settings of its own."
PHASES = (
    "Phases in order, each with its steps, its trained groups of tensors and its method settings, "
    "such as linear(steps=50,use_circuit=false),all(steps=50). Empty is one phase."
)


@functools.cache
def _declared_settings(description: type[Declared]) -> dict[str, Setting]:
    settings: dict[str, Setting] = {}

    def add(group: type[Declared]) -> None:
        for flat, _, field in named_fields(group):
            declared = setting_of_field(flat, field)
            settings[flat] = dataclasses.replace(declared, default=default_of(field))

    for name, field in description.model_fields.items():
        if name in GROUPS:
            add(GROUPS[name])
        elif name == "objective":
            settings[name] = Setting(
                name, str, Supervised.kind, OBJECTIVE, choices=tuple(OBJECTIVES)
            )
            for kind in OBJECTIVES.values():
                add(kind)
        elif name == "phases":
            settings[name] = Setting(name, str, "", PHASES)
        else:
            settings[name] = setting_of_field(name, field)
    return settings


class Training(Declared):
    """Training settings; those of a group are also accepted and read by their flat names.

    Example:
        >>> Training(optim=Optim(weight_decay=0.1)) == Training(weight_decay=0.1)
        True
        >>> Training(objective=Reinforce(samples=8)).model_dump(exclude_defaults=True)
        {'objective': 'reinforce', 'reward_samples': 8}
    """

    steps: int = Field(default=100, ge=1, description="Optimiser steps.", json_schema_extra=COMMON)
    epochs: float | None = Field(
        default=None,
        gt=0,
        le=1e6,
        description="Passes over the training rows, in place of steps; empty uses steps.",
    )
    batch_size: int = Field(
        default=8, ge=1, description="Rows of one forward pass.", json_schema_extra=COMMON
    )
    gradient_accumulation: int = Field(default=1, ge=1, description="Forward passes per step.")
    max_length: int = Field(
        default=128,
        ge=8,
        description="Maximum length of a row; longer rows are truncated.",
        json_schema_extra={"unit": "tokens", **COMMON},
    )
    optim: Optim = Field(default_factory=Optim, description="Optimiser and learning rates.")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32",
        description="Number format of the frozen model and of matrix products.",
    )
    gradient_checkpointing: bool = Field(
        default=False,
        description="Recompute activations in the backward pass: less memory, more time.",
    )
    train_rows: int | None = Field(
        default=None,
        ge=1,
        description="Training rows; empty uses all.",
        json_schema_extra=COMMON,
    )
    evaluation: Evaluation = Field(
        default_factory=Evaluation, description="Evaluation and early stopping."
    )
    checkpoint_every: int = Field(
        default=25,
        ge=1,
        description="Interval between checkpoints.",
        json_schema_extra={"unit": "steps"},
    )
    spectrum_every: int = Field(
        default=10,
        ge=0,
        description="Interval between records of the update's singular values; 0 records none.",
        json_schema_extra={"unit": "steps"},
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        description="CPU threads; empty uses the run's share of the cores, and free cores too "
        "where the number does not change the results (Intel, float32, no quantised base).",
    )
    processes: int = Field(
        default=1,
        ge=1,
        description="Processes that share the rows of every batch; the losses of one, up to "
        "rounding.",
    )
    objective: Objective = Field(default_factory=Supervised, description=OBJECTIVE)
    phases: list[Phase] = Field(default_factory=list, description=PHASES)
    perturbation: int = Field(
        default=0,
        ge=0,
        description="Number of a repetition with a 1-ulp perturbation of the initial weights, "
        "which measures rounding noise; 0 perturbs nothing.",
    )
    share: str = Field(
        default="",
        description="Part of the training rows for one client of a federation, such as 3/8 or "
        "3/8 dirichlet(0.3); empty uses all.",
    )
    report_to: Tracker = Field(
        default="none",
        description="Experiment tracker that also receives the curves.",
    )

    if TYPE_CHECKING:  # accepted types; the fields above give the stored types

        def __init__(
            self,
            *,
            steps: int = ...,
            epochs: float | None = ...,
            batch_size: int = ...,
            gradient_accumulation: int = ...,
            max_length: int = ...,
            optim: Optim | dict[str, Any] = ...,
            precision: str = ...,
            gradient_checkpointing: bool = ...,
            train_rows: int | None = ...,
            evaluation: Evaluation | dict[str, Any] = ...,
            checkpoint_every: int = ...,
            spectrum_every: int = ...,
            threads: int | None = ...,
            processes: int = ...,
            objective: Objective | str = ...,
            phases: list[Phase] | list[dict[str, Any]] | str = ...,
            perturbation: int = ...,
            share: str = ...,
            report_to: str = ...,
            **flat: Any,
        ) -> None: ...
    else:

        def __getattr__(self, name: str) -> Any:
            """Return a setting by its flat name."""
            for part in (*GROUPS, "objective"):
                flat = flattened(self.__dict__[part]) if part in self.__dict__ else {}
                if name in flat:
                    return flat[name]
            if name in _declared_settings(Training):
                return _declared_settings(Training)[name].default
            return super().__getattr__(name)

    @model_validator(mode="before")
    @classmethod
    def _into_groups(cls, fields: Any) -> Any:
        return group_fields(fields) if isinstance(fields, dict) else fields

    @model_serializer(mode="plain")
    def _by_flat_names(self, info: SerializationInfo) -> dict[str, Any]:
        declared = self.declared_settings()
        values = {name: setting.default for name, setting in declared.items()}
        values |= {name: getattr(self, name) for name in type(self).model_fields.keys() & values}
        for group in (self.optim, self.evaluation, self.objective):
            values |= flattened(group)
        values |= {"objective": self.objective.kind, "phases": phases_text(self.phases)}
        if info.exclude_defaults:
            return {n: v for n, v in values.items() if v != declared[n].default}
        return values

    @classmethod
    def declared_settings(cls) -> dict[str, Setting]:
        """Return every setting by its flat name, in declared order."""
        return dict(_declared_settings(cls))

    @field_validator("phases", mode="before")
    @classmethod
    def _named_phases(cls, value: Any) -> Any:
        """Accept the text form, and mappings as a YAML file may hold."""
        listed = isinstance(value, list) and all(isinstance(p, dict | Phase) for p in value)
        return named_phases(value) if listed or isinstance(value, str) else value

    @field_validator("share")
    @classmethod
    def _share_of_rows(cls, share: str) -> str:
        if share:
            from qtha_lab.tasks.client_shards import ClientShare

            ClientShare.parse(share)
        return share

    @model_validator(mode="after")
    def _phases_add_up(self) -> Self:
        counts = [phase.steps for phase in self.phases]
        if counts and sum(counts) != self.steps:
            total = " + ".join(map(str, counts))
            raise Refusal(
                f"phases must have steps={self.steps} together, got {total} = {sum(counts)}."
            )
        return self

    @model_validator(mode="after")
    def _of_several_processes(self) -> Self:
        if self.processes == 1:
            return self
        single = {
            f"objective={self.objective.kind}": not isinstance(self.objective, Supervised),
            "phases": self.phases,
            "patience": self.evaluation.patience,
        }
        for name, value in single.items():
            if value:
                raise Refusal(f"processes must be 1 with {name}, got {self.processes}.")
        if self.processes > self.batch_size:
            raise Refusal(
                f"processes must be at most batch_size={self.batch_size}, whose rows they share, "
                f"got {self.processes}."
            )
        return self

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some settings changed, by flat names or by groups.

        Example:
            >>> Training(objective=Reinforce(samples=8)).replace(reward="rouge1").objective
            Reinforce(reward='rouge1', samples=8)
        """
        fields = {n: getattr(self, n) for n in type(self).model_fields if n not in changes}
        for name in (*GROUPS, "objective"):
            own = flattened(getattr(self, name))
            if name in fields and own.keys() & changes.keys():
                kept = fields.pop(name)
                of_objective = {name: kept.kind} if name == "objective" else {}
                changes = of_objective | own | changes
        if "teacher" in changes and not changes["teacher"]:
            of_teacher = {flat for flat, _, _ in named_fields(Distillation)}
            changes = {n: v for n, v in changes.items() if n not in of_teacher}
            if changes.get("objective") == Distillation.kind:
                del changes["objective"]
        elif "teacher" in changes and "objective" not in changes:
            fields.pop("objective", None)
        return type(self)(**fields, **changes)

    @property
    def without_derived_steps(self) -> Training:
        """Copy of the settings without the steps that were computed from epochs."""
        steps = Training.model_fields["steps"].default
        return self if self.epochs is None else self.replace(steps=steps)

    @property
    def rows_per_pass(self) -> int:
        """Rows in one forward and backward pass, including sampled and rejected answers."""
        objective = self.objective
        if isinstance(objective, Preference):
            return 2 * self.batch_size
        return self.batch_size * (objective.samples if isinstance(objective, Reinforce) else 1)

    @property
    def beta(self) -> float:
        """Factor of the log-likelihood ratio of preference pairs; 1 for other objectives."""
        return self.objective.beta if isinstance(self.objective, Preference) else 1.0

    @property
    def teacher_run(self) -> str:
        """Teacher of a distillation; "" for other objectives."""
        return self.objective.teacher if isinstance(self.objective, Distillation) else ""

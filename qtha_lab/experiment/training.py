"""Description of a training: steps, batches, optimiser, evaluation, objective and phases."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, Literal, Self

from pydantic import Field, SerializationInfo, field_validator, model_serializer, model_validator
from pydantic.config import JsonDict

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import Setting, setting_of_field
from qtha_lab.experiment.axes import COMMON
from qtha_lab.experiment.method_choice import Option
from qtha_lab.experiment.objectives import (
    OBJECTIVES,
    OF_OBJECTIVES,
    Distillation,
    Objective,
    Phase,
    Preference,
    Reinforce,
    Supervised,
    default_of,
    named_phases,
    objective_of,
    phases_text,
)
from qtha_lab.experiment.validated_model import Declared

OPTIMISER: JsonDict = {"section": "optimiser"}
EVALUATION: JsonDict = {"section": "evaluation"}
OBJECTIVE: JsonDict = {"section": "objective"}
RECORDS: JsonDict = {"section": "records"}
HARDWARE: JsonDict = {"section": "hardware"}


class Training(Declared, init=False):
    """Training settings; those of the objective are also accepted and read by flat names.

    Example:
        >>> Training(objective=Reinforce(samples=8)) == Training(
        ...     objective="reinforce", reward_samples=8
        ... )
        True
        >>> Training(objective=Reinforce(samples=8)).model_dump(exclude_defaults=True)
        {'objective': 'reinforce', 'reward_samples': 8}
    """

    steps: int = Field(default=100, ge=1, json_schema_extra=COMMON)
    """Optimiser steps."""
    epochs: float | None = Field(default=None, gt=0, le=1e6)
    """Passes over the training rows, in place of steps; empty uses steps."""
    batch_size: int = Field(default=8, ge=1, json_schema_extra=COMMON)
    """Rows of one forward pass."""
    gradient_accumulation: int = Field(default=1, ge=1)
    """Forward passes per step."""
    max_length: int = Field(default=128, ge=8, json_schema_extra={"unit": "tokens", **COMMON})
    """Maximum length of a row; longer rows are truncated."""
    optimizer: Literal[
        "auto", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"
    ] = Field(default="auto", json_schema_extra=OPTIMISER)
    """Optimiser; auto is the Trainer's default, AdamW."""
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", json_schema_extra=OPTIMISER
    )
    """Learning-rate schedule after the warm-up."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1, json_schema_extra=OPTIMISER)
    """Warm-up as a fraction of the steps."""
    head_learning_rate: float | None = Field(default=None, gt=0, json_schema_extra=OPTIMISER)
    """Peak learning rate of a new classification head; empty uses the adapter's."""
    rate_ratios: dict[str, Option] = Field(default_factory=dict, json_schema_extra=OPTIMISER)
    """Learning rates of tensor groups relative to the learning rate, such as B=16 (LoRA+). Groups
    are A, B, cores, angles, and the names of other tensors."""
    weight_decay: float = Field(default=0.0, ge=0, json_schema_extra=OPTIMISER)
    """Weight decay of AdamW."""
    max_grad_norm: float = Field(default=1.0, ge=0, json_schema_extra=OPTIMISER)
    """Maximum norm of the gradient; 0 disables clipping."""
    precision: Literal["float32", "bfloat16"] = Field(default="float32", json_schema_extra=HARDWARE)
    """Number format of the frozen model and of matrix products."""
    gradient_checkpointing: bool = Field(default=False, json_schema_extra=HARDWARE)
    """Recompute activations in the backward pass: less memory, more time."""
    train_rows: int | None = Field(default=None, ge=1, json_schema_extra=COMMON)
    """Training rows; empty uses all."""
    eval_rows: int | None = Field(default=128, ge=1, json_schema_extra=EVALUATION)
    """Evaluation rows, used to choose rates and steps; empty uses all."""
    test_rows: int | None = Field(default=128, ge=0, json_schema_extra=EVALUATION)
    """Test rows, evaluated once at the end and equal for all seeds; 0 tests nothing, empty uses
    all."""
    sealed: bool = Field(default=False, json_schema_extra=EVALUATION)
    """Take the test rows from the sealed pool, which a comparison opens once for each claim."""
    eval_every: int = Field(default=25, ge=1, json_schema_extra={"unit": "steps", **EVALUATION})
    """Interval between evaluations."""
    patience: int = Field(default=0, ge=0, json_schema_extra=EVALUATION)
    """Consecutive evaluations without improvement that end the training. The adapter with the
    lowest evaluation loss is kept. 0 disables early stopping."""
    min_improvement: float = Field(
        default=0.0, ge=0, json_schema_extra={"unit": "nats", **EVALUATION}
    )
    """Smallest decrease of the evaluation loss that counts for patience."""
    generate_rows: int = Field(default=16, ge=0, json_schema_extra=EVALUATION)
    """Evaluation rows with generated answers at the end; 0 generates none."""
    max_new_tokens: int = Field(
        default=32, ge=1, le=100_000, json_schema_extra={"unit": "tokens", **EVALUATION}
    )
    """Longest generated answer."""
    checkpoint_every: int = Field(default=25, ge=1, json_schema_extra={"unit": "steps", **RECORDS})
    """Interval between checkpoints."""
    spectrum_every: int = Field(default=10, ge=0, json_schema_extra={"unit": "steps", **RECORDS})
    """Interval between records of the update's singular values; 0 records none."""
    threads: int | None = Field(default=None, ge=1, json_schema_extra=HARDWARE)
    """CPU threads; empty uses the run's share of the cores, and free cores too where the number
    does not change the results (Intel, float32, no quantised base)."""
    objective: Objective = Field(default_factory=Supervised, json_schema_extra=OBJECTIVE)
    """Training objective; each but supervised has settings of its own."""
    phases: list[Phase] = Field(default_factory=list[Phase], json_schema_extra=OBJECTIVE)
    """Phases in order, each with its steps, its trained groups of tensors and its method settings,
    such as linear(steps=50,use_circuit=false),all(steps=50). Empty is one phase."""
    perturbation: int = Field(default=0, ge=0)
    """Number of a repetition with a 1-ulp perturbation of the initial weights, which measures
    rounding noise; 0 perturbs nothing."""
    share: str = ""
    """Part of the training rows for one client of a federation, such as 3/8 or 3/8 dirichlet(0.3);
    empty uses all."""
    report_to: Literal["none", "tensorboard", "wandb", "mlflow"] = Field(
        default="none", json_schema_extra=RECORDS
    )
    """Experiment tracker that also receives the curves."""

    def __getattr__(self, name: str) -> Any:
        """Return a setting of the objective by its flat name."""
        if name in OF_OBJECTIVES:
            return self.objective.flat_values().get(name, default_of(name))
        raise AttributeError(f"'Training' object has no attribute {name!r}")

    @model_validator(mode="before")
    @classmethod
    def _objective_of_flat_settings(cls, fields: Any) -> Any:
        if not isinstance(fields, dict):
            return fields
        flat = {name: value for name, value in fields.items() if name in OF_OBJECTIVES}
        fields = {name: value for name, value in fields.items() if name not in flat}
        if flat or "objective" in fields:
            fields["objective"] = objective_of(fields.get("objective"), flat)
        return fields

    @model_serializer(mode="plain")
    def _by_flat_names(self, info: SerializationInfo) -> dict[str, Any]:
        declared = self.declared_settings()
        values = {name: getattr(self, name) for name in declared}
        values |= {"objective": self.objective.kind, "phases": phases_text(self.phases)}
        if info.exclude_defaults:
            return {n: v for n, v in values.items() if v != declared[n].default}
        return values

    @classmethod
    @functools.cache
    def declared_settings(cls: type[Declared]) -> dict[str, Setting]:
        """Return every setting by its flat name, in declared order."""
        settings: dict[str, Setting] = {}
        for name, field in cls.model_fields.items():
            settings[name] = setting_of_field(name, field)
            if name == "objective":
                settings[name] = dataclasses.replace(
                    settings[name], type=str, default=Supervised.kind, choices=tuple(OBJECTIVES)
                )
                for flat, kind in OF_OBJECTIVES.items():
                    declared = kind.flat_settings()[flat]
                    settings[flat] = dataclasses.replace(
                        declared, default=default_of(flat), section="objective"
                    )
        settings["phases"] = dataclasses.replace(settings["phases"], type=str, default="")
        return settings

    @field_validator("rate_ratios")
    @classmethod
    def _ratios_above_zero(cls, ratios: dict[str, Any]) -> dict[str, Any]:
        for name, ratio in ratios.items():
            if isinstance(ratio, bool) or not isinstance(ratio, int | float) or ratio <= 0:
                raise Refusal(f"rate_ratios must hold numbers above 0, got {name}={ratio!r:.40}.")
        return ratios

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
    def _improvement_with_patience(self) -> Self:
        if self.min_improvement and not self.patience:
            raise Refusal(
                f"min_improvement must be 0 without patience, got {self.min_improvement:g}. "
                "Set patience to at least 1."
            )
        return self

    @model_validator(mode="after")
    def _phases_add_up(self) -> Self:
        counts = [phase.steps for phase in self.phases]
        if counts and sum(counts) != self.steps:
            total = " + ".join(map(str, counts))
            raise Refusal(
                f"phases must have steps={self.steps} together, got {total} = {sum(counts)}."
            )
        return self

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some settings changed; an empty teacher ends a distillation.

        Example:
            >>> Training(objective=Reinforce(samples=8)).replace(reward="rouge1").objective
            Reinforce(reward='rouge1', samples=8)
        """
        if not changes.get("teacher", True):
            changes = {n: v for n, v in changes.items() if OF_OBJECTIVES.get(n) != Distillation}
            if changes.get("objective", self.objective.kind) == Distillation.kind:
                changes["objective"] = Supervised()
        elif "teacher" in changes and not isinstance(self.objective, Distillation):
            changes = {"objective": Distillation.kind} | changes
        if "objective" not in changes:
            own = self.objective.flat_values()
            flat = {name: changes.pop(name) for name in [*changes] if name in own}
            changes["objective"] = type(self.objective)(**own | flat) if flat else self.objective
        return super().replace(**changes)

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

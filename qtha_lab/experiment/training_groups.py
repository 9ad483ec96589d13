"""Groups of training settings: optimiser, evaluation and objective.

`qtha_lab.experiment.training` joins them. The names in the field extras (`flat`) are the names of
the settings without their group, where these differ.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.method_choice import Option
from qtha_lab.experiment.validated_model import Declared


class Optim(Declared):
    """Settings of the optimiser; the peak learning rate is the method's.

    Example:
        >>> Optim(schedule="cosine", weight_decay=0.01).warmup_fraction
        0.1
    """

    optimizer: Literal[
        "auto", "adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "rmsprop", "adagrad"
    ] = Field(default="auto", description="Optimiser; auto is the Trainer's default, AdamW.")
    schedule: Literal["linear", "cosine", "constant"] = Field(
        default="linear", description="Learning-rate schedule after the warm-up."
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, le=1, description="Warm-up as a fraction of the steps."
    )
    head_learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate of a new classification head; empty uses the adapter's.",
    )
    rate_ratios: dict[str, Option] = Field(
        default_factory=dict,
        description="Learning rates of tensor groups relative to the learning rate, such as B=16 "
        "(LoRA+). Groups are A, B, cores, angles, and the names of other tensors.",
    )
    weight_decay: float = Field(default=0.0, ge=0, description="Weight decay of AdamW.")
    max_grad_norm: float = Field(
        default=1.0, ge=0, description="Maximum norm of the gradient; 0 disables clipping."
    )

    @field_validator("rate_ratios")
    @classmethod
    def _ratios_above_zero(cls, ratios: dict[str, Any]) -> dict[str, Any]:
        for name, ratio in ratios.items():
            if isinstance(ratio, bool) or not isinstance(ratio, int | float) or ratio <= 0:
                raise Refusal(f"rate_ratios must hold numbers above 0, got {name}={ratio!r:.40}.")
        return ratios


class Evaluation(Declared):
    """Rows, interval and generated answers of evaluations, and early stopping."""

    eval_rows: int | None = Field(
        default=128,
        ge=1,
        description="Evaluation rows, used to choose rates and steps; empty uses all.",
    )
    test_rows: int | None = Field(
        default=128,
        ge=1,
        description="Test rows, evaluated once at the end and equal for all seeds; empty uses all.",
    )
    sealed: bool = Field(
        default=False,
        description="Take the test rows from the sealed pool, which a comparison opens once for "
        "each claim.",
    )
    eval_every: int = Field(
        default=25,
        ge=1,
        description="Interval between evaluations.",
        json_schema_extra={"unit": "steps"},
    )
    patience: int = Field(
        default=0,
        ge=0,
        description="Consecutive evaluations without improvement that end the training. The "
        "adapter with the lowest evaluation loss is kept. 0 disables early stopping.",
    )
    min_improvement: float = Field(
        default=0.0,
        ge=0,
        description="Smallest decrease of the evaluation loss that counts for patience.",
        json_schema_extra={"unit": "nats"},
    )
    generate_rows: int = Field(
        default=16,
        ge=0,
        description="Evaluation rows with generated answers at the end; 0 generates none.",
    )
    max_new_tokens: int = Field(
        default=32,
        ge=1,
        le=100_000,
        description="Longest generated answer.",
        json_schema_extra={"unit": "tokens"},
    )

    @model_validator(mode="after")
    def _improvement_with_patience(self) -> Self:
        if self.min_improvement and not self.patience:
            raise Refusal(
                f"min_improvement must be 0 without patience, got {self.min_improvement:g}. "
                "Set patience to at least 1."
            )
        return self


class Supervised(Declared):
    """Likelihood of the reference answers or labels."""

    kind: ClassVar[str] = "supervised"


class Distillation(Declared):
    """Loss that follows a frozen teacher, the run of an earlier training.

    Example:
        >>> Distillation(teacher="20261124-153012-tiny-qa-lora-s0-1a2b").target
        'logits'
    """

    kind: ClassVar[str] = "distillation"

    teacher: str = Field(
        min_length=1,
        description="Teacher of a distillation: id or folder of a finished run with the same model "
        "and task.",
    )
    target: Literal["logits", "delta"] = Field(
        default="logits",
        description="Target of the distillation: the teacher's logits beside the labels, or its "
        "output change at each adapted layer.",
        json_schema_extra={"flat": "distil"},
    )
    weight: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Share of the loss that follows the teacher's logits.",
        json_schema_extra={"flat": "distil_weight"},
    )
    temperature: float = Field(
        default=2.0,
        gt=0,
        description="Divisor of both logits before they are compared.",
        json_schema_extra={"flat": "distil_temperature"},
    )


class Reinforce(Declared):
    """Mean reward of sampled answers, raised by REINFORCE."""

    kind: ClassVar[str] = "reinforce"

    reward: Literal["rouge1", "rouge2", "rougeL"] = Field(
        default="rougeL",
        description="Reward of a sampled answer against its reference, from 0 to 1.",
    )
    samples: int = Field(
        default=4,
        ge=2,
        description="Answers sampled per prompt. The baseline of each is the mean reward of the "
        "others.",
        json_schema_extra={"unit": "answers", "flat": "reward_samples"},
    )


class Preference(Declared):
    """Preferred answers made more likely than rejected ones, relative to the base model (DPO)."""

    kind: ClassVar[str] = "preference"

    beta: float = Field(
        default=0.1,
        gt=0,
        description="Factor of the log-likelihood ratio between chosen and rejected answers; small "
        "values allow a larger distance from the base model.",
        json_schema_extra={"flat": "preference_beta"},
    )


Objective = Supervised | Distillation | Reinforce | Preference
OBJECTIVES: dict[
    str, type[Supervised] | type[Distillation] | type[Reinforce] | type[Preference]
] = {kind.kind: kind for kind in (Supervised, Distillation, Reinforce, Preference)}

"""Search over settings: axes, choice of points, and number of trials per method.

A sweep is a search; a comparison contains one for tuning. `sweep` defines the names of axes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.axis import Axis
from qtha_lab.experiment.validated_model import Declared

COMMON: dict[str, Any] = {"common": True}  # shown among the first settings of a form


class Search(Declared):
    """Search settings: axes, sampler and number of trials per method."""

    axes: dict[str, Any] = Field(
        default_factory=lambda: {"learning_rate": "0.001..0.1 log 5"},
        min_length=1,
        description="Settings to vary, with a list of values or a range such as 1e-4..1e-1 log "
        "5. qtha.r "
        "belongs to one method, training.steps to the training.",
    )
    search: Literal["grid", "random", "sobol", "tpe", "gp"] = Field(
        default="grid",
        description="Choice of the points: the whole grid, or an Optuna sampler.",
        json_schema_extra=COMMON,
    )
    trials: int | None = Field(
        default=None,
        ge=1,
        description="Trials per method; empty uses the whole grid.",
        json_schema_extra=COMMON,
    )
    pruner: Literal["none", "median", "halving"] = Field(
        default="none",
        description="Early stopping of trials at their evaluations.",
        json_schema_extra=COMMON,
    )
    search_seed: int = Field(default=0, ge=0, le=2**32 - 1, description="Seed of the sampler.")

    @field_validator("axes", mode="before")
    @classmethod
    def _axes_as_written(cls, axes: Any) -> Any:
        if not isinstance(axes, Mapping):
            raise Refusal(f"axes must be settings by name with their values, got {axes!r:.60}.")
        written = {}
        for name, values in axes.items():
            try:
                written[name] = Axis.of(values).written
            except Refusal as refused:
                raise Refusal(f"Axis {name}: {refused}") from None
        return written

    @model_validator(mode="after")
    def _says_how_many(self) -> Self:
        if self.search != "grid" and self.trials is None:
            raise Refusal(f"trials must be given with search={self.search}, such as trials=20.")
        return self

"""Method of a comparison for one model and task, after matching and tuning."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.model_task_pairs import ModelTask
from qtha_lab.experiment.scaling import Rule, scaled
from qtha_lab.experiment.sweep import Point
from qtha_lab.experiment.training import Training


@dataclass(frozen=True)
class Contender:
    """Method of a comparison for one (model, task) pair.

    Attributes:
        model_task: Pair of model and task.
        declared: Label in the description.
        choice: Method after matching, before scaling.
        training: Training settings.
        scaling: Rule that determines the method's alpha.
        point: Tuned settings by axis.
        trials: Evaluation losses of the tuning trials in order; None for a diverged or failed
            trial.
        tried: Evaluation losses by trial seed of every finished trial, by its point as text.
    """

    model_task: ModelTask
    declared: str
    choice: MethodChoice
    training: Training
    scaling: Rule = "2r"
    point: Point = field(default_factory=dict)
    trials: tuple[float | None, ...] = ()
    tried: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def method(self) -> MethodChoice:
        """Method with the scale of the rule, before tuning."""
        return scaled(self.choice, self.scaling)

    def replace(self, **changes: Any) -> Contender:
        """Return a copy with other values."""
        return dataclasses.replace(self, **changes)

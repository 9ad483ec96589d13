"""A method of a comparison as it is trained on one model and task, once it is matched and tuned."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from qtha_lab.experiment.experiment import Training
from qtha_lab.experiment.method_choice import MethodChoice
from qtha_lab.experiment.model_task_pairs import Cell
from qtha_lab.experiment.scaling import Rule, scaled
from qtha_lab.experiment.sweep import Point


@dataclass(frozen=True)
class Contender:
    """A method of a comparison as it is trained in one cell.

    Attributes:
        cell: The model and the task.
        declared: Its label in the description.
        choice: The method, matched but not yet scaled.
        training: The course of its training.
        scaling: The rule that gives the method its alpha.
        point: The tuned settings, by axis.
        trials: Evaluation losses of the trials by which it was tuned, in their order; None where one diverged or failed.
    """

    cell: Cell
    declared: str
    choice: MethodChoice
    training: Training
    scaling: Rule = "2r"
    point: Point = field(default_factory=dict)
    trials: tuple[float | None, ...] = ()

    @property
    def method(self) -> MethodChoice:
        """The method as it is trained, before any tuning."""
        return scaled(self.choice, self.scaling)

    def replace(self, **changes: Any) -> Contender:
        """The same with other values."""
        return dataclasses.replace(self, **changes)

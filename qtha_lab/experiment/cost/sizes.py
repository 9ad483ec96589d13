"""Sizes of an experiment that are known before its times: parameters, memory and steps.

Nothing is measured and no kernel is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qtha_lab.experiment import Experiment
from qtha_lab.experiment import validation as refusals
from qtha_lab.experiment.cost.preview import Cancelled
from qtha_lab.experiment.plan import resolve


@dataclass(frozen=True)
class ExperimentSizes:
    """Sizes of an experiment; `bytes` is the least memory of a step."""

    trainable_parameters: int
    base_parameters: int
    bytes: int
    steps: int

    @property
    def memory(self) -> str:
        """The least memory of a step as text."""
        return f"{self.bytes / 2**20:,.0f} MiB"


def sizes(experiment: Experiment, cancelled: Callable[[], bool] = lambda: False) -> ExperimentSizes:
    """Compute the sizes of an experiment.

    Args:
        experiment: Experiment to predict.
        cancelled: Checked between stages of the work; raises `Cancelled` once it returns True.

    Raises:
        Refusal: For the reasons of `Experiment.check`, except disk space.

    Example:
        >>> sizes(Experiment(method="lora(r=2)")).trainable_parameters
        7680
    """

    def go_on() -> None:
        if cancelled():
            raise Cancelled

    go_on()
    plan = resolve(experiment)
    refusals.check_plan(plan, go_on)
    go_on()
    return ExperimentSizes(
        trainable_parameters=plan.layout.trainable,
        base_parameters=plan.model.num_parameters(),
        bytes=sum(plan.bytes.values()),
        steps=plan.steps,
    )

"""The stages of a training in one course of steps: what is trained at which, and a schedule for each.

A stage is entered before its first step. Steps are counted through, so a run resumed at any step is in the same stage
with the same rate.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, get_scheduler

from qtha_lab.adapters import phases as staged
from qtha_lab.experiment.phases import Stage
from qtha_lab.experiment.run_directory.events import EventLog

log = logging.getLogger(__name__)


class Staging(TrainerCallback):
    """Enters each stage before its first step; a `staged.as_it_was` is open around the training.

    Args:
        model: What is trained.
        stages: In their order.
        events: Take a status when a stage begins.
    """

    def __init__(self, model: nn.Module, stages: Sequence[Stage], events: EventLog) -> None:
        self.model, self.stages, self.events = model, stages, events
        self.parts = [staged.Part.of(model, stage) for stage in stages]
        self.entered: int | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        """Be in the stage of the last step taken."""
        self._enter(stage_of(self.stages, max(1, state.global_step)))

    def on_step_begin(self, args, state, control, **kwargs):
        """Be in the stage of the step that begins."""
        number = stage_of(self.stages, state.global_step + 1)
        if number != self.entered:
            self._enter(number)
            message = f"stage {self.stages[number].text}"
            self.events.append("status", state="running", step=state.global_step, message=message)

    def _enter(self, number: int) -> None:
        log.info("stage %s", self.stages[number].text)
        staged.enter(self.model, self.parts[number])
        self.entered = number


def stage_of(stages: Sequence[Stage], step: int) -> int:
    """Which stage a step is taken in, the first step being 1.

    Example:
        >>> from qtha_lab.experiment.phases import parse
        >>> stages = parse("a(steps=2),b(steps=3)")
        >>> [stage_of(stages, step) for step in range(1, 6)]
        [0, 0, 1, 1, 1]
    """
    ends = list(accumulate(stage.steps for stage in stages))
    return next((n for n, end in enumerate(ends) if step <= end), len(stages) - 1)


def scheduled(
    optimizer: torch.optim.Optimizer, stages: Sequence[Stage], schedule: str, warmup: float
) -> LambdaLR:
    """A schedule that warms up and falls once a stage.

    Args:
        optimizer: Whose rates it scales.
        stages: In their order.
        schedule: transformers' name of one stage's course.
        warmup: Share of a stage's steps that warm up.

    Example:
        >>> from qtha_lab.experiment.phases import parse
        >>> sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> course = scheduled(sgd, parse("a(steps=2),b(steps=4)"), "linear", 0.0)
        >>> [course.lr_lambdas[0](step) for step in range(6)]
        [1.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """
    # a schedule is of an optimiser; of each of these only its factors are asked for
    idle = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    courses = []
    for stage in stages:
        course = get_scheduler(schedule, idle, round(warmup * stage.steps), stage.steps)
        assert isinstance(course, LambdaLR)  # of every schedule that an experiment can name
        courses.append(course.lr_lambdas[0])
    begins = [0, *accumulate(stage.steps for stage in stages)]

    def factor(step: int) -> float:
        number = stage_of(stages, step + 1)
        return courses[number](step - begins[number])

    return LambdaLR(optimizer, factor)

"""Training phases: trained parameters and learning-rate schedule of each phase.

A phase is entered before its first step. Steps are numbered through all phases, so a resumed run
has the same phase and rate at the same step.
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
    """Callback that enters each training phase before its first step.

    The caller must hold `adapters.phases.as_it_was` open during training.

    Args:
        model: Trained model.
        stages: Training phases in order.
        events: Event log; receives a status event when a phase starts.
    """

    def __init__(self, model: nn.Module, stages: Sequence[Stage], events: EventLog) -> None:
        self.model, self.stages, self.events = model, stages, events
        self.parts = [staged.Part.of(model, stage) for stage in stages]
        self.entered: int | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        """Enter the phase of the last completed step."""
        self._enter(stage_of(self.stages, max(1, state.global_step)))

    def on_step_begin(self, args, state, control, **kwargs):
        """Enter the phase of the next step."""
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
    """Return the index of the phase that contains a step; the first step is 1.

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
    """Create a schedule that warms up and decays once per phase.

    Args:
        optimizer: Optimiser whose rates are scaled.
        stages: Training phases in order.
        schedule: transformers' name of the schedule within a phase.
        warmup: Fraction of a phase's steps used for warm-up.

    Example:
        >>> from qtha_lab.experiment.phases import parse
        >>> sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> course = scheduled(sgd, parse("a(steps=2),b(steps=4)"), "linear", 0.0)
        >>> [course.lr_lambdas[0](step) for step in range(6)]
        [1.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """
    # `get_scheduler` needs an optimiser; only the factors of these schedules are used
    idle = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    courses = []
    for stage in stages:
        course = get_scheduler(schedule, idle, round(warmup * stage.steps), stage.steps)
        assert isinstance(course, LambdaLR)  # holds for every schedule that an experiment can name
        courses.append(course.lr_lambdas[0])
    begins = [0, *accumulate(stage.steps for stage in stages)]

    def factor(step: int) -> float:
        number = stage_of(stages, step + 1)
        return courses[number](step - begins[number])

    return LambdaLR(optimizer, factor)

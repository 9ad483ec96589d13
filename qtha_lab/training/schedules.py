"""Learning rates by parameter group, and the trained parameters and schedule of each phase.

A phase is entered before its first step. Steps are numbered through all phases, so a resumed run
has the same phase and rate at the same step.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import accumulate

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import TrainerCallback, get_scheduler

from qtha_lab.adapters.phases import Part, enter
from qtha_lab.adapters.tensor_groups import HEAD, adapter_groups
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.objectives import Phase
from qtha_lab.experiment.run_directory.events import EventLog

log = logging.getLogger(__name__)


def set_head_apart(
    optimizer: torch.optim.Optimizer, model: nn.Module, learning_rate: float
) -> None:
    """Set the learning rate of a new classification head, if the model has one."""
    head = {id(parameter) for name, parameter in model.named_parameters() if HEAD in name}
    set_apart(optimizer, head, learning_rate)


def set_groups_apart(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    learning_rate: float,
    ratios: Mapping[str, float],
) -> None:
    """Set the learning rates of groups of tensors.

    Raises:
        Refusal: If a named group contains no trained tensor.

    Source:
        LoRA+, Hayou et al. 2024, arXiv:2402.12354: a larger rate for B than for A.
    """
    members = adapter_groups(model)
    for group, ratio in ratios.items():
        if group not in members:
            raise unknown("group of tensors", group, sorted(members))
        set_apart(optimizer, members[group], learning_rate * ratio)


def set_apart(optimizer: torch.optim.Optimizer, members: set[int], learning_rate: float) -> None:
    """Move parameters into new groups that differ only in the learning rate.

    Example:
        >>> body, head = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
        >>> adam = torch.optim.AdamW([body.weight, head.weight], lr=0.1)
        >>> set_apart(adam, {id(head.weight)}, 0.5)
        >>> [(group["lr"], len(group["params"])) for group in adam.param_groups]
        [(0.1, 1), (0.5, 1)]
    """
    for group in list(optimizer.param_groups):
        apart = [p for p in group["params"] if id(p) in members]
        group["params"] = [p for p in group["params"] if id(p) not in members]
        if apart:
            optimizer.add_param_group({**group, "params": apart, "lr": learning_rate})


class PhaseCallback(TrainerCallback):
    """Callback that enters each training phase before its first step.

    The caller must hold `adapters.phases.as_it_was` open during training.

    Args:
        model: Trained model.
        phases: Training phases in order.
        events: Event log; receives a status event when a phase starts.
    """

    def __init__(self, model: nn.Module, phases: Sequence[Phase], events: EventLog) -> None:
        self.model, self.phases, self.events = model, phases, events
        self.parts = [Part.of(model, phase) for phase in phases]
        self.entered: int | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        """Enter the phase of the last completed step."""
        self._enter(phase_of(self.phases, max(1, state.global_step)))

    def on_step_begin(self, args, state, control, **kwargs):
        """Enter the phase of the next step."""
        number = phase_of(self.phases, state.global_step + 1)
        if number != self.entered:
            self._enter(number)
            message = f"phase {self.phases[number].text}"
            self.events.append("status", state="running", step=state.global_step, message=message)

    def _enter(self, number: int) -> None:
        log.info("phase %s", self.phases[number].text)
        enter(self.model, self.parts[number])
        self.entered = number


def phase_of(phases: Sequence[Phase], step: int) -> int:
    """Return the index of the phase that contains a step; the first step is 1.

    Example:
        >>> from qtha_lab.experiment.objectives import parse_phases
        >>> phases = parse_phases("a(steps=2),b(steps=3)")
        >>> [phase_of(phases, step) for step in range(1, 6)]
        [0, 0, 1, 1, 1]
    """
    ends = list(accumulate(phase.steps for phase in phases))
    return next((n for n, end in enumerate(ends) if step <= end), len(phases) - 1)


def scheduled(
    optimizer: torch.optim.Optimizer, phases: Sequence[Phase], schedule: str, warmup: float
) -> LambdaLR:
    """Create a schedule that warms up and decays once per phase.

    Example:
        >>> from qtha_lab.experiment.objectives import parse_phases
        >>> sgd = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        >>> course = scheduled(sgd, parse_phases("a(steps=2),b(steps=4)"), "linear", 0.0)
        >>> [course.lr_lambdas[0](step) for step in range(6)]
        [1.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """
    # `get_scheduler` needs an optimiser; only the factors of these schedules are used
    idle = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    courses = []
    for phase in phases:
        course = get_scheduler(schedule, idle, round(warmup * phase.steps), phase.steps)
        assert isinstance(course, LambdaLR)  # holds for every schedule that an experiment can name
        courses.append(course.lr_lambdas[0])
    begins = [0, *accumulate(phase.steps for phase in phases)]

    def factor(step: int) -> float:
        number = phase_of(phases, step + 1)
        return courses[number](step - begins[number])

    return LambdaLR(optimizer, factor)

"""Requirements of a training on machine, libraries and base model, checked before the start."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal
from qtha_lab.core.optional import require_extra
from qtha_lab.core.settings import unknown

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Training
    from qtha_lab.experiment.plan import Plan


def check_tracker(report_to: str) -> None:
    """Refuse a tracker whose library is not installed."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        package = "qtha-lab[tensorboard]" if report_to == "tensorboard" else report_to
        raise Refusal(f'report_to={report_to} needs {report_to}: run pip install "{package}".')


def check_scorer(training: Training) -> None:
    """Refuse a ROUGE reward whose package is not installed."""
    if training.objective == "reward":
        require_extra("scores", "A training on a ROUGE reward", "rouge_score")


def check_threads(threads: int | None) -> None:
    """Refuse more threads than this process has cores."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if threads and threads > cores:
        raise Refusal(f"threads must be at most {cores}, which this machine has, not {threads}")


def check_processes(training: Training) -> None:
    """Refuse more processes than a batch has rows or this machine has GPUs.

    Also refuses settings that only a single process supports.
    """
    processes = training.processes
    if processes == 1:
        return
    alone = {"teacher": training.teacher, "stages": training.stages, "patience": training.patience,
             "objective=reward": training.objective == "reward"}  # fmt: skip
    for name, value in alone.items():
        if value:
            raise Refusal(f"a training with {name} is of one process, not processes={processes}")
    if processes > training.batch_size:
        raise Refusal(
            f"processes must be at most batch_size={training.batch_size}, whose rows they share, not {processes}"
        )
    import torch

    gpus = torch.accelerator.device_count() if torch.accelerator.is_available() else processes
    if processes > gpus:
        raise Refusal(
            f"processes must be at most {gpus}, the GPUs of this machine, not {processes}"
        )


def check_course(plan: Plan) -> None:
    """Refuse both steps and epochs, and a minimum improvement without patience."""
    training = plan.experiment.training
    default = type(training).model_fields["steps"].default
    if training.epochs is not None and training.steps not in (default, plan.steps):
        raise Refusal(
            f"steps={training.steps} and epochs={training.epochs:g}, which is {plan.steps} steps of these rows, exclude "
            "each other: leave one of them out"
        )
    if training.min_improvement and not training.patience:
        raise Refusal(
            f"min_improvement={training.min_improvement:g} is read with patience: set patience to at least 1, or leave it out"
        )


def check_rates(plan: Plan) -> None:
    """Refuse a separate rate for a tensor group that the method does not train."""
    for group in plan.experiment.training.rate_ratios:
        if group not in plan.layout.groups:
            raise unknown(
                f"group of tensors of {plan.experiment.method.name} in rate_ratios",
                group,
                plan.layout.groups,
            )


def check_initialisation(plan: Plan) -> None:
    """Refuse an initialisation that this base does not allow.

    See `adapters.check_initialisation`.
    """
    from qtha_lab import adapters

    experiment = plan.experiment
    adapters.check_initialisation(
        plan.model,
        plan.config,
        start_rows=plan.start_rows,
        quantization=experiment.quantization,
        precision=experiment.training.precision,
    )


def check_head(plan: Plan) -> None:
    """Refuse a head, or the head-only method "none", for a task without classes."""
    from qtha_lab.adapters import heads

    experiment, task = plan.experiment, plan.task
    if task.kind == "classification":
        if experiment.method.name == "none":
            heads.check_readable(plan.model, heads.layer_name(plan.model))
        return
    if experiment.head:
        raise Refusal(
            f"a head is for a task with classes, and task {task.name} writes: leave out head={experiment.head}"
        )
    if experiment.method.name == "none":
        raise Refusal(
            f"method none trains a head alone, and task {task.name} has no classes: choose a method that adapts layers"
        )


def check_gradients(plan: Plan) -> None:
    """Refuse a gradient-based initialisation of the adapter behind a separate head.

    Such a head has equal logits at its initialisation, so all gradients are zero.
    """
    from qtha_lab.adapters import initialisation_rows

    if not plan.reader:
        return
    config = plan.config
    if initialisation_rows(config) or getattr(config, "init_lora_weights", True) == "lora_ga":
        raise Refusal(
            f"method {plan.experiment.method.name} starts from gradients of training rows, which are zero behind "
            f"head={plan.reader}: leave head empty, or choose a start that reads none"
        )


def check_positions(plan: Plan) -> None:
    """Refuse rows longer than the model's positions; some models have no such limit."""
    experiment = plan.experiment
    max_length, max_new = experiment.training.max_length, experiment.training.max_new_tokens
    positions = getattr(plan.model.config, "max_position_embeddings", None)
    if positions and experiment.training.objective == "reward" and max_length + max_new > positions:
        raise Refusal(
            f"max_length and max_new_tokens must be at most {positions:,} together for objective=reward, the positions of "
            f"model {experiment.model}, not {max_length:,} + {max_new:,}"
        )
    if positions and max_length > positions:
        raise Refusal(
            f"max_length must be at most {positions:,}, the positions of model {experiment.model}, "
            f"not {max_length:,}"
        )

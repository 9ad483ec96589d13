"""Validation of an experiment before a weight is loaded.

Reads a plan (names, rows, sizes of a model on the meta device) and the disk. The limits of single
fields are declared with the fields, in `qtha_lab.experiment`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import check_writable, make_folder
from qtha_lab.experiment import memory, requirements
from qtha_lab.experiment.objectives import Reinforce, check_teacher
from qtha_lab.experiment.plan import Plan


def check_run(plan: Plan, runs_dir: Path | None = None) -> None:
    """Refuse an experiment that cannot run.

    Raises:
        Refusal: With the rule and the value.
    """
    check_plan(plan)
    check_disk(runs_dir or paths.runs_dir(), disk_needed(plan))


def check_plan(plan: Plan, go_on: Callable[[], None] = lambda: None) -> None:
    """Run all checks of `check_run` except the disk check.

    Raises:
        Refusal: With the rule and the value.
    """
    check_names(plan)
    go_on()
    check_rows(plan)
    go_on()
    requirements.check_positions(plan)
    check_base(plan)
    _ = plan.layout  # refuses layers that the method cannot adapt
    check_angles(plan)
    requirements.check_phases(plan)
    requirements.check_rates(plan)
    requirements.check_adapter_initialisation(plan)
    requirements.check_gradients(plan)
    go_on()
    memory.check_memory(plan.bytes)


def check_names(plan: Plan) -> None:
    """Refuse an unknown model, task or method, and options out of their limits."""
    from qtha_lab.adapters import get_method
    from qtha_lab.adapters.heads import head_named
    from qtha_lab.models import check_model
    from qtha_lab.models.quantisation.formats import check_quantization
    from qtha_lab.tasks import check_task

    experiment = plan.experiment
    get_method(experiment.method.name).check(experiment.method.options)
    if not plan.has_rows:  # rows in the cache have been checked
        check_task(experiment.task, **experiment.task_options)
    check_model(experiment.model)
    check_quantization(experiment.quantization)
    if experiment.head:
        head_named(experiment.head)
    training = experiment.training
    requirements.check_tracker(training.report_to)
    requirements.check_scorer(training)
    requirements.check_threads(training.threads)
    check_teacher(experiment)


def check_base(plan: Plan) -> None:
    """Refuse a quantisation that the base's layers or the method do not support."""
    from qtha_lab.adapters.peft import AdapterConfig
    from qtha_lab.models.quantisation.formats import check_quantization, rounding_of, weight_bits

    quantization = plan.experiment.quantization
    check_quantization(quantization, plan.model)
    if isinstance(plan.config, AdapterConfig):
        plan.config.check_base(weight_bits(quantization))
    rounding = rounding_of(quantization)
    if rounding is not None and rounding.rounds_changes:
        check_rounded_change(plan)


def check_rounded_change(plan: Plan) -> None:
    """Refuse a change that cannot be added to a weight before it is rounded."""
    from qtha_lab.adapters import get_method
    from qtha_lab.adapters.peft import AdapterConfig

    method, config = get_method(plan.experiment.method.name), plan.config
    if not (isinstance(config, AdapterConfig) and method.is_linear(config)):
        raise Refusal(
            "A base that rounds the changes of its weights must have a linear method of qtha-lab, "
            f"got {method.name}. Use prequant(fraction=1), or training=frozen in quantization."
        )
    if config.dropout:
        raise Refusal(
            "dropout must be 0 on a base that rounds the changes of its weights, got "
            f"{config.dropout:g}."
        )


def check_rows(plan: Plan) -> None:
    """Refuse a task without a full batch, without evaluation rows, or without the required head."""
    training, task = plan.experiment.training, plan.task
    if len(task.train) < training.batch_size:
        raise Refusal(
            f"batch_size must be at most {len(task.train)}, the training rows of task {task.name}, "
            f"got {training.batch_size}."
        )
    requirements.check_steps(plan)
    requirements.check_head(plan)
    requirements.check_seq2seq(plan)
    requirements.check_pairs(plan)
    if isinstance(training.objective, Reinforce) and task.kind != "lm":
        raise Refusal(
            "task must have written answers with objective=reinforce, got the classification task "
            f"{task.name}."
        )
    if not task.eval:
        raise Refusal(f"task must have evaluation rows, got {task.name} with none.")
    head_rate = training.head_learning_rate
    if head_rate is not None and task.kind != "classification":
        raise Refusal(
            f"head_learning_rate must be empty for task {task.name}, which has no classification "
            f"head, got {head_rate:g}."
        )


def check_angles(plan: Plan) -> None:
    """Refuse an initialisation of the angles whose files are missing or fit no layer."""
    from qtha_lab import adapters

    adapters.check_angles(plan.model, plan.config)


def disk_needed(plan: Plan) -> int:
    """Estimate the bytes of a run on the disk.

    Two checkpoints of (adapter, its initialisation, two Adam moments), the adapter, and the events.
    """
    copies = 2 * 4 + 2
    return 4 * plan.layout.trainable * copies + 500 * plan.steps + 2**20


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a folder that is not writable or has too little space.

    Raises:
        Refusal: With the folder and the problem.
    """
    try:
        make_folder(folder)
        check_writable(folder)
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise Refusal(
            f"The runs folder must be writable, got {folder} ({error.strerror}). QTHA_LAB_RUNS "
            "sets another."
        ) from None
    if free < needed:
        raise Refusal(
            f"The runs folder {folder} must have {needed / 2**20:,.1f} MiB free, "
            f"got {free / 2**20:,.1f} MiB. QTHA_LAB_RUNS sets another."
        )

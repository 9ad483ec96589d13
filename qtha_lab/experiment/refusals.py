"""Everything about an experiment that can be refused before a weight is loaded.

Reads names, sizes (of a model on the meta device), rows and the disk. What one field alone may be
is declared with the field, in `qtha_lab.experiment`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qtha_lab import paths
from qtha_lab.errors import Refusal
from qtha_lab.experiment import limits, memory
from qtha_lab.plugin_loading import load_plugins

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from qtha_lab.experiment import Comparison, Experiment
    from qtha_lab.tasks import Task

HEADS = {"lm": "causal-lm", "classification": "classification"}
SAMPLED_ROWS = 64
TASK_TYPES = {"lm": "CAUSAL_LM", "classification": "SEQ_CLS"}


class Examined(NamedTuple):
    """What had to be read and counted to know that an experiment can run."""

    task: Task
    model: nn.Module
    config: PeftConfig
    trainable: int
    bytes: dict[str, int]


def check(experiment: Experiment, runs_dir: Path | None = None) -> None:
    """Refuse an experiment that cannot run.

    Raises:
        ValueError: One sentence with the rule and the value.
    """
    trainable = examine(experiment).trainable
    check_disk(runs_dir or paths.runs_dir(), disk_needed(experiment, trainable))


def examine(experiment: Experiment, go_on: Callable[[], None] = lambda: None) -> Examined:
    """All of `check` but the disk.

    Args:
        go_on: Called between stages; what it raises ends the work.
    """
    from qtha_lab import adapters

    check_names(experiment)
    go_on()
    task = load_rows(experiment)
    check_rows(experiment, task)
    go_on()
    model = empty_model(experiment, task)
    limits.check_positions(experiment, model)
    config = peft_config(experiment, task.kind)
    trainable = adapters.count_trainable(model, config)
    go_on()
    width = max(row_lengths(experiment, task))
    needed = memory.bytes_needed(experiment, model, config, trainable, width)
    memory.check_memory(needed)
    return Examined(task, model, config, trainable, needed)


def check_comparison(comparison: Comparison, runs_dir: Path | None = None) -> None:
    """Refuse a comparison of which any experiment cannot run; rows and sizes are read once a method."""
    seed = comparison.seeds[0]
    for experiment in comparison.experiments():
        if experiment.seed == seed:
            check(experiment, runs_dir)


def check_names(experiment: Experiment) -> None:
    """Refuse an unknown model, task or method, and options out of their limits."""
    from qtha_lab.adapters import get_method
    from qtha_lab.models import check_model
    from qtha_lab.models.quantized import check_quantization
    from qtha_lab.tasks import check_task

    load_plugins(experiment.plugins)
    get_method(experiment.method.name).check(experiment.method.options)
    check_task(experiment.task, **experiment.task_options)
    check_model(experiment.model)
    check_quantization(experiment.quantization)
    limits.check_trackers(experiment.training.report_to)
    limits.check_threads(experiment.training.threads)


def load_rows(experiment: Experiment) -> Task:
    """The task of an experiment with the rows it asks for."""
    from qtha_lab.tasks import load_task

    training = experiment.training
    return load_task(
        experiment.task,
        seed=experiment.seed,
        train_rows=training.train_rows,
        eval_rows=training.eval_rows,
        **experiment.task_options,
    )


def check_rows(experiment: Experiment, task: Task) -> None:
    """Refuse a task that cannot fill one batch, has nothing to evaluate on or lacks the head it is to train."""
    training = experiment.training
    if len(task.train) < training.batch_size:
        raise Refusal(
            f"task {task.name} has {len(task.train)} training rows, "
            f"which do not fill one batch of batch_size={training.batch_size}"
        )
    if not task.eval:
        raise Refusal(f"task {task.name} has no evaluation rows")
    if training.head_learning_rate is not None and task.kind != "classification":
        raise Refusal(
            f"head_learning_rate is for a classification head, which task {task.name} does not "
            f"train: leave out {training.head_learning_rate:g}"
        )


def empty_model(experiment: Experiment, task: Task) -> nn.Module:
    """The experiment's base model on the meta device: sizes without weights."""
    from qtha_lab import models

    return models.empty_model(
        experiment.model, head=HEADS[task.kind], n_labels=len(task.labels) or None
    )


def row_lengths(experiment: Experiment, task: Task) -> list[int]:
    """Tokens of the first training rows, as many as show how long rows are."""
    from transformers import AutoTokenizer

    from qtha_lab.models.catalogue import locate

    tokenizer = AutoTokenizer.from_pretrained(locate(experiment.model), trust_remote_code=False)
    rows = task.encode(task.train[:SAMPLED_ROWS], tokenizer, experiment.training.max_length)
    return [len(row["input_ids"]) for row in rows]


def peft_config(experiment: Experiment, kind: str) -> PeftConfig:
    """The method's PEFT config for a kind of task ("lm" or "classification")."""
    from qtha_lab.adapters import get_method
    from qtha_lab.models import default_target_modules

    choice = experiment.method
    targets = choice.target_modules or default_target_modules(experiment.model)
    method = get_method(choice.name)
    return method.make_config(task_type=TASK_TYPES[kind], target_modules=targets, **choice.options)


def disk_needed(experiment: Experiment, trainable: int) -> int:
    """Disk space of a run: two checkpoints of (adapter, two Adam moments), the adapter, the events."""
    copies_kept = 2 * 3 + 1
    return 4 * trainable * copies_kept + 500 * experiment.training.steps + 2**20


def check_disk(folder: Path, needed: int) -> None:
    """Refuse a folder that cannot be written to or has no room.

    Raises:
        ValueError: With the folder and what is wrong with it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(folder).free
    except OSError as refused:
        raise Refusal(
            f"the runs folder {folder} cannot be written to: {refused.strerror}; "
            "QTHA_LAB_RUNS names another"
        ) from None
    if free < needed:
        raise Refusal(
            f"the runs folder {folder} has {free / 2**20:,.1f} MiB free, "
            f"but the run needs {needed / 2**20:,.1f} MiB; QTHA_LAB_RUNS names another"
        )

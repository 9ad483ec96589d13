"""Everything about an experiment that can be refused before a weight is loaded.

Reads names, sizes (of a model on the meta device), rows and the disk. What one field alone may be
is declared with the field, in `qtha_lab.experiment`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab import paths
from qtha_lab.errors import Refusal
from qtha_lab.experiment import memory
from qtha_lab.settings import unknown

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from qtha_lab.experiment import Comparison, Experiment
    from qtha_lab.tasks import Task

HEADS = {"lm": "causal-lm", "classification": "classification"}
SAMPLED_ROWS = 64
TASK_TYPES = {"lm": "CAUSAL_LM", "classification": "SEQ_CLS"}


def check(experiment: Experiment, runs_dir: Path | None = None) -> None:
    """Refuse an experiment that cannot run.

    Raises:
        ValueError: One sentence with the rule and the value.
    """
    check_names(experiment)
    task = load_rows(experiment)
    check_rows(experiment, task)
    model = empty_model(experiment, task)
    check_positions(experiment, model)
    trainable = check_adapter(experiment, model, task.kind)
    memory.check_memory(memory_needed(experiment, task, model, trainable))
    check_disk(runs_dir or paths.runs_dir(), bytes_needed(experiment, trainable))


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

    get_method(experiment.method.name).check(experiment.method.options)
    check_task(experiment.task, **experiment.task_options)
    check_model(experiment.model)
    check_quantization(experiment.quantization)
    check_trackers(experiment.training.report_to)
    check_threads(experiment.training.threads)


def check_trackers(report_to: str) -> None:
    """Refuse a tracker that transformers does not know, or that is not installed."""
    from transformers.integrations import integration_utils as trackers

    names = [name.strip() for name in report_to.split(",")]
    if names in (["none"], ["all"]):
        return
    here = trackers.get_available_reporting_integrations()
    for name in names:
        if name not in trackers.INTEGRATION_TO_CALLBACK:
            raise unknown("report_to", name, ["none", "all", *trackers.INTEGRATION_TO_CALLBACK])
        if name not in here:
            raise Refusal(f"report_to={name} needs a package of that name, which is not installed")


def check_threads(threads: int | None) -> None:
    """Refuse more threads than this process may run at once."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    if threads and threads > there:
        raise Refusal(f"threads must be at most {there}, which this machine has, not {threads}")


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
    """Refuse a task that cannot fill one batch or has nothing to evaluate on."""
    training = experiment.training
    if len(task.train) < training.batch_size:
        raise Refusal(
            f"task {task.name} has {len(task.train)} training rows, "
            f"which do not fill one batch of batch_size={training.batch_size}"
        )
    if not task.eval:
        raise Refusal(f"task {task.name} has no evaluation rows")


def empty_model(experiment: Experiment, task: Task) -> nn.Module:
    """The experiment's base model on the meta device: sizes without weights."""
    from qtha_lab import models

    return models.empty_model(
        experiment.model, head=HEADS[task.kind], n_labels=len(task.labels) or None
    )


def check_positions(experiment: Experiment, model: nn.Module) -> None:
    """Refuse rows longer than the positions a model was made with; some models have no such end."""
    asked, positions = experiment.training.max_length, _positions(model)
    if positions and asked > positions:
        raise Refusal(
            f"max_length must be at most {positions:,}, the positions of model {experiment.model}, "
            f"not {asked:,}"
        )


def _positions(model: nn.Module) -> int | None:
    return getattr(model.config, "max_position_embeddings", None)


def row_lengths(experiment: Experiment, task: Task) -> list[int]:
    """Tokens of the first training rows, as many as show how long rows are."""
    from transformers import AutoTokenizer

    from qtha_lab.models.catalogue import locate

    tokenizer = AutoTokenizer.from_pretrained(locate(experiment.model), trust_remote_code=False)
    rows = task.encode(task.train[:SAMPLED_ROWS], tokenizer, experiment.training.max_length)
    return [len(row["input_ids"]) for row in rows]


def memory_needed(
    experiment: Experiment, task: Task, model: nn.Module, trainable: int
) -> Mapping[str, int]:
    """Bytes of a step at least, by what takes them (see `memory.bytes_needed`)."""
    width = max(row_lengths(experiment, task))
    return memory.bytes_needed(
        experiment, model, peft_config(experiment, task.kind), trainable, width
    )


def peft_config(experiment: Experiment, kind: str) -> PeftConfig:
    """The method's PEFT config for a kind of task ("lm" or "classification")."""
    from qtha_lab.adapters import get_method
    from qtha_lab.models import default_target_modules

    choice = experiment.method
    targets = choice.target_modules or default_target_modules(experiment.model)
    method = get_method(choice.name)
    return method.make_config(task_type=TASK_TYPES[kind], target_modules=targets, **choice.options)


def check_adapter(experiment: Experiment, model: nn.Module, kind: str) -> int:
    """Refuse targets that match nothing and sizes the method cannot take.

    Returns:
        How many numbers the adapter trains.
    """
    from qtha_lab import adapters

    config = peft_config(experiment, kind)
    adapters.check_targets(model, config.target_modules)
    return adapters.count_trainable(model, config)


def bytes_needed(experiment: Experiment, trainable: int) -> int:
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

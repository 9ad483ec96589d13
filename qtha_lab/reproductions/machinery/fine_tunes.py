"""Fine-tuning experiment shared by reproductions on a language model.

By default model `tiny` and task `qa`, at most a minute.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtha_lab.core.settings import setting
from qtha_lab.experiment import Experiment

DATA = "{model} on {task}"
FULL: dict[str, Any] = {"steps": 100}
QUICK: dict[str, Any] = {"steps": 6, "train_rows": 48, "eval_rows": 8, "test_rows": 16}
SHARED: dict[str, Any] = {
    "generate_rows": 0,
    "spectrum_every": 0,
    "eval_every": 25,
    "checkpoint_every": 50,
}


@dataclass(frozen=True)
class ModelAndTask:
    """Language model and task of the fine-tunes of a reproduction."""

    model: str = setting(
        "tiny", "Language model: a short name, a folder or a fetched hub id.", common=True
    )
    task: str = setting(
        "qa", "Task with written answers: a name, a file, a folder or a data set id.", common=True
    )


def check_model_and_task(chosen: ModelAndTask) -> None:
    """Refuse an unknown model or task, or one that is not on this machine.

    Raises:
        Refusal: With the reason.

    Example:
        >>> check_model_and_task(ModelAndTask(model="tinny"))
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown model 'tinny': did you mean 'tiny'? ...
    """
    from qtha_lab.models import check_model  # imports transformers
    from qtha_lab.tasks import check_task

    check_model(chosen.model, "causal-lm")
    check_task(chosen.task)


def experiment_on(
    chosen: ModelAndTask, method: str, seed: int, quick: bool, **training: Any
) -> Experiment:
    """Return the experiment of fine-tuning a language model on a task.

    Args:
        chosen: Model and task.
        method: Method with its options.
        seed: Seed of the initial weights and of the order of rows.
        quick: Use the quick form.
        **training: Other training settings.

    Example:
        >>> experiment_on(ModelAndTask(task="recall"), "lora(r=1)", 2, quick=True).training.steps
        6
    """
    form = QUICK if quick else FULL
    return Experiment(
        model=chosen.model,
        task=chosen.task,
        method=method,
        seed=seed,
        training=SHARED | form | training,
    )

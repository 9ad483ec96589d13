"""Validation of REINFORCE settings; `qtha_lab.training.reinforce` computes reward and gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Training
    from qtha_lab.tasks import Task

OWN = ("reward", "reward_samples")  # settings that are used only with a reward


def check_reward(training: Training, task: Task) -> None:
    """Refuse a reward for a classification task or with a teacher.

    Also refuses reward settings without objective "reward".

    Raises:
        Refusal: If one of these conditions holds.
    """
    if training.objective != "reward":
        for name in OWN:
            value = getattr(training, name)
            if value != type(training).model_fields[name].default:
                raise Refusal(
                    f"{name}={value} is read with objective=reward: set it, or leave {name} out"
                )
        return
    if task.kind != "lm":
        raise Refusal(
            f"objective=reward needs answers that are written, and task {task.name} is a classification task: leave it out"
        )
    if training.teacher:
        raise Refusal(
            "a teacher gives a loss of its own: leave out objective=reward or the teacher"
        )

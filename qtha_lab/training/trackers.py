"""The curves of a run for another program, written by transformers' own callbacks.

TensorBoard's file lies in the run's folder and goes on where a resumed run does, as the curve at Weights &
Biases does, whose offline files lie there too. MLflow, which names runs itself, begins another of the same name.
"""

from __future__ import annotations

import os

from transformers import TrainerCallback
from transformers.integrations import integration_utils

from qtha_lab.experiment.run_directory import RunDir


def make_tracker(run: RunDir, report_to: str, step: int) -> list[TrainerCallback]:
    """The callback that writes for a program, in a list; an empty one for "none".

    Args:
        run: The run's directory.
        report_to: Name of the program, whose library is installed.
        step: Where this session begins; what was written of later steps is void.
    """
    if report_to == "none":
        return []
    if report_to == "tensorboard":
        from torch.utils.tensorboard.writer import SummaryWriter

        writer = SummaryWriter(str(run.path / "tensorboard"), purge_step=step + 1 if step else None)
        return [integration_utils.TensorBoardCallback(writer)]
    name = run.path.name
    for variable, value in {
        "WANDB_DIR": str(run.path),
        "WANDB_PROJECT": "qtha-lab",
        "WANDB_RUN_ID": name,
        "WANDB_NAME": name,
        "WANDB_RESUME": "allow",
        "MLFLOW_EXPERIMENT_NAME": "qtha-lab",
    }.items():
        os.environ.setdefault(variable, value)
    return [integration_utils.INTEGRATION_TO_CALLBACK[report_to]()]

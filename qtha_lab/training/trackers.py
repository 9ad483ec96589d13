"""Export of a run's curves to experiment trackers, by transformers' own callbacks.

TensorBoard files are stored in the run's folder, as are the offline files of Weights & Biases. A
resumed run continues its curve in both. MLflow names runs itself, so a resumed run creates another
one of the same name.
"""

from __future__ import annotations

import os

from transformers import TrainerCallback
from transformers.integrations import integration_utils

from qtha_lab.experiment.run_directory import RunDir


def make_tracker(run: RunDir, report_to: str, step: int) -> list[TrainerCallback]:
    """Return the callback of a tracker in a list; the list is empty for "none".

    Args:
        run: Run directory.
        report_to: Name of the tracker, whose library must be installed.
        step: First step of this session; records of later steps are discarded.
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

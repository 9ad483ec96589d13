"""What the machine, the libraries and the base model allow of a training, asked before it starts."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

from qtha_lab.errors import Refusal

if TYPE_CHECKING:
    from qtha_lab.experiment.plan import Plan


def check_tracker(report_to: str) -> None:
    """Refuse a tracker whose library is not installed."""
    if report_to != "none" and importlib.util.find_spec(report_to) is None:
        raise Refusal(
            f"report_to={report_to} needs the library {report_to}, which is not installed: "
            f"pip install {report_to}"
        )


def check_threads(threads: int | None) -> None:
    """Refuse more threads than this process may run at once."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if threads and threads > cores:
        raise Refusal(f"threads must be at most {cores}, which this machine has, not {threads}")


def check_processes(processes: int, batch_size: int) -> None:
    """Refuse more processes than a batch has rows, or this machine has GPUs where it has any."""
    if processes == 1:
        return
    if processes > batch_size:
        raise Refusal(
            f"processes must be at most batch_size={batch_size}, whose rows they share, not {processes}"
        )
    import torch

    gpus = torch.accelerator.device_count() if torch.accelerator.is_available() else processes
    if processes > gpus:
        raise Refusal(
            f"processes must be at most {gpus}, the GPUs of this machine, not {processes}"
        )


def check_positions(plan: Plan) -> None:
    """Refuse rows longer than the positions a model was made with; some models have no such end."""
    experiment = plan.experiment
    max_length = experiment.training.max_length
    positions = getattr(plan.model.config, "max_position_embeddings", None)
    if positions and max_length > positions:
        raise Refusal(
            f"max_length must be at most {positions:,}, the positions of model {experiment.model}, "
            f"not {max_length:,}"
        )

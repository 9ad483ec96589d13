"""What the machine, the libraries and the base model allow of a training, asked before it starts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from qtha_lab.errors import Refusal
from qtha_lab.settings import unknown

if TYPE_CHECKING:
    from qtha_lab.experiment.plan import Plan


def check_trackers(report_to: str) -> None:
    """Refuse a tracker that transformers does not know, or that is not installed."""
    from transformers.integrations import integration_utils as trackers

    names = [name.strip() for name in report_to.split(",")]
    if names in (["none"], ["all"]):
        return
    installed = trackers.get_available_reporting_integrations()
    for name in names:
        if name not in trackers.INTEGRATION_TO_CALLBACK:
            raise unknown("report_to", name, ["none", "all", *trackers.INTEGRATION_TO_CALLBACK])
        if name not in installed:
            raise Refusal(f"report_to={name} needs a package of that name, which is not installed")


def check_threads(threads: int | None) -> None:
    """Refuse more threads than this process may run at once."""
    has_affinity = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if has_affinity else os.cpu_count() or 1
    if threads and threads > cores:
        raise Refusal(f"threads must be at most {cores}, which this machine has, not {threads}")


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

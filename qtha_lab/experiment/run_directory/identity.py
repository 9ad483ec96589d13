"""Identity of a run from its directory and description, for summaries and table entries.

Reads no measurement.
"""

from __future__ import annotations

from typing import Any

from qtha_lab.experiment.run_directory.files import RunDir


def identity(run: RunDir) -> dict[str, Any]:
    """Return the identity of a run from its description, independent of its summary.

    Returns:
        `run_id`, `model`, `task`, `task_options`, `method`, `label`, `seed`, `options`,
        `target_modules`, `quantization` and `head`.
    """
    experiment = run.experiment
    return {
        "run_id": run.path.name,
        "model": experiment.model,
        "task": experiment.task,
        "task_options": experiment.task_options,
        "method": experiment.method.name,
        "label": experiment.method.label,
        "seed": experiment.seed,
        "options": experiment.method.options,
        "target_modules": experiment.method.target_modules,
        "quantization": experiment.quantization,
        "head": experiment.head,
    }

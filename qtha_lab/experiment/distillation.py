"""Teacher run of a distillation: its directory and its compatibility with the student.

Reads the files of the run directory; loads no weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.recorded import is_arm
from qtha_lab.experiment.training_groups import Distillation

if TYPE_CHECKING:
    from qtha_lab.experiment.description import RunDescription

SAME = ("model", "quantization", "task", "task_options")


def teacher_folder(teacher: str) -> Path:
    """Return the directory of a run from its id or path.

    Raises:
        Refusal: If there is no such run.

    Example:
        >>> teacher_folder("missing")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: teacher must be a run in ..., got 'missing'.
    """
    for folder in (paths.as_path(teacher), paths.runs_dir() / teacher):
        if (folder / "experiment.yaml").is_file():
            return folder.resolve()
    raise Refusal(
        f"teacher must be a run in {paths.runs_dir()} or the folder of a run, got {teacher!r:.80}."
    )


def check_teacher(experiment: RunDescription) -> None:
    """Refuse a teacher that does not fit the experiment.

    Raises:
        Refusal: If there is no such run, it has no adapter, or its model, task or layers differ.
    """
    objective = experiment.training.objective
    if not isinstance(objective, Distillation):
        return
    folder = teacher_folder(objective.teacher)
    if is_arm(folder / "experiment.yaml"):
        raise Refusal(
            f"teacher must adapt a language model, got {folder.name}, an arm of a reproduction."
        )
    described = type(experiment).from_yaml(folder / "experiment.yaml")
    for name in SAME:
        theirs, ours = getattr(described, name), getattr(experiment, name)
        if theirs != ours:
            raise Refusal(
                f"teacher must have {name}={ours!r:.60}, got {theirs!r:.60} in {folder.name}."
            )
    if not (folder / "adapter" / "adapter_config.json").is_file():
        raise Refusal(
            f"teacher must have an adapter, got {folder.name} without. Let it finish first."
        )
    layers = described.method.target_modules, experiment.method.target_modules
    if objective.target == "delta" and layers[0] != layers[1]:
        raise Refusal(
            f"distil=delta must have the teacher's layers, {_listed(layers[0])}, "
            f"got {_listed(layers[1])}."
        )


def _listed(layers: list[str] | None) -> str:
    return ", ".join(layers) if layers else "the model's usual ones"

"""Teacher run of a distillation: its directory and its compatibility with the student.

Reads the files of the run directory; loads no weight.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.recorded import is_arm

if TYPE_CHECKING:
    from qtha_lab.experiment.experiment import Experiment

SAME = ("model", "quantization", "task", "task_options")


def teacher_folder(teacher: str) -> Path:
    """Return the directory of a run from its id or path.

    Raises:
        Refusal: If there is no such run.

    Example:
        >>> teacher_folder("missing")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: teacher 'missing' is no run in ...
    """
    for folder in (paths.as_path(teacher), paths.runs_dir() / teacher):
        if (folder / "experiment.yaml").is_file():
            return folder.resolve()
    raise Refusal(f"teacher {teacher!r:.80} is no run in {paths.runs_dir()}, and no folder of one")


def check_teacher(experiment: Experiment) -> None:
    """Refuse a teacher that does not fit the experiment.

    Raises:
        Refusal: If there is no such run, it has no adapter, or its model, task or layers differ.
    """
    training = experiment.training
    if not training.teacher:
        return
    folder = teacher_folder(training.teacher)
    if is_arm(folder / "experiment.yaml"):
        raise Refusal(
            f"teacher {folder.name} is an arm of a reproduction: it adapts no language model"
        )
    described = type(experiment).from_yaml(folder / "experiment.yaml")
    for name in SAME:
        theirs, ours = getattr(described, name), getattr(experiment, name)
        if theirs != ours:
            raise Refusal(
                f"teacher {folder.name} has {name} {theirs!r}, this run {ours!r}: both must have the same"
            )
    if not (folder / "adapter" / "adapter_config.json").is_file():
        raise Refusal(f"teacher {folder.name} has no adapter yet: let it finish first")
    layers = described.method.target_modules, experiment.method.target_modules
    if training.distil == "delta" and layers[0] != layers[1]:
        raise Refusal(
            f"distil=delta needs the teacher's layers: {folder.name} adapts {_listed(layers[0])}, this run "
            f"{_listed(layers[1])}"
        )


def _listed(layers: list[str] | None) -> str:
    return ", ".join(layers) if layers else "the model's usual ones"

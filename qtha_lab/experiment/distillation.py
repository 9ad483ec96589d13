"""The run that another one learns from: where it is, and whether the two fit.

Reads the files of its directory; loads no weight.
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
    """The directory of a run that is named by its id or by its path.

    Raises:
        Refusal: If there is none.

    Example:
        >>> teacher_folder("nobody")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: teacher 'nobody' is no run in ...
    """
    for folder in (paths.as_path(teacher), paths.runs_dir() / teacher):
        if (folder / "experiment.yaml").is_file():
            return folder.resolve()
    raise Refusal(f"teacher {teacher!r:.80} is no run in {paths.runs_dir()}, and no folder of one")


def check_teacher(experiment: Experiment) -> None:
    """Refuse a teacher that an experiment cannot learn from.

    Raises:
        Refusal: If there is no such run, it has no adapter, or is of another model, task or layers.
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

"""Absolute paths of an experiment, so that its run resumes in any working folder."""

from typing import Any

from qtha_lab.core import paths
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.objectives import teacher_folder


def with_absolute_paths(experiment: Experiment) -> Experiment:
    """Return the experiment with absolute paths, for a resume in any working folder.

    This covers model folder, task file, teacher and plugin files.
    """
    places = {name: absolute_place(getattr(experiment, name)) for name in ("model", "task")}
    changes: dict[str, Any] = {n: v for n, v in places.items() if v != getattr(experiment, n)}
    if teacher := experiment.training.teacher_run:
        folder = str(teacher_folder(teacher))
        if folder != teacher:
            changes["training"] = experiment.training.replace(teacher=folder)
    plugins = [_absolute_path(name) for name in experiment.plugins]
    if plugins != experiment.plugins:
        changes["plugins"] = plugins
    return experiment.replace(**changes) if changes else experiment


def absolute_place(name: str) -> str:
    """Return the absolute path of a model folder or task file; other names stay unchanged."""
    path = paths.as_path(name)
    is_path_like = len(path.parts) > 1 or path.suffix in (".jsonl", ".json")
    return str(path.resolve()) if is_path_like and path.exists() else name


def _absolute_path(plugin: str) -> str:
    file = paths.as_path(plugin)
    return str(file.resolve()) if file.suffix == ".py" and file.exists() else plugin

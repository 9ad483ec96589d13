"""Contenders of a comparison: methods with matched step counts and tuned settings.

The measured seconds per step are stored beside the runs, so a resumed comparison has the same
contenders.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, read_mapping, write_json
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.launch import absolute_place

FILE = "seconds_per_step.json"
log = logging.getLogger(__name__)

Seconds = Callable[[Experiment], float]


def timed(
    comparison: Comparison, folder: Path | None = None, seconds: Seconds | None = None
) -> list[Contender]:
    """Return the contenders, with matched step counts if matching is by equal seconds.

    Each later method gets as many steps as fit into the seconds of the first one.

    Args:
        comparison: Comparison to run.
        folder: Folder that stores measured seconds per step; None measures them without storage.
        seconds: Function that returns the seconds per step of an experiment; None measures them on
            this machine (`seconds_per_step`).

    Raises:
        Refusal: If the seconds of a method are unknown, or less than one step fits.
    """
    contenders = comparison.contenders()
    if comparison.matching != "equal_seconds":
        return contenders
    known = _Known(folder)
    resolved: list[Contender] = []
    for model_task in comparison.model_tasks:
        first, *others = [
            contender for contender in contenders if contender.model_task == model_task
        ]
        pace = known.seconds(comparison, first, seconds or seconds_per_step)
        budget = pace * first.training.steps
        resolved.append(first)
        for contender in others:
            pace = known.seconds(comparison, contender, seconds or seconds_per_step)
            if (steps := int(budget / pace * (1 + 1e-9))) < 1:
                raise Refusal(
                    f"A step of {contender.declared} must take at most the {budget:.3g} s of "
                    f"{first.declared} on {model_task}, got {pace:.3g} s. Choose another matching."
                )
            resolved.append(contender.replace(training=contender.training.replace(steps=steps)))
    known.write()
    return resolved


def seconds_per_step(experiment: Experiment) -> float:
    """Measure the seconds per step of an experiment on this machine.

    Raises:
        Refusal: If the seconds are unknown, as for a remote quantum device.
    """
    from qtha_lab.experiment.cost.preview import preview

    cost = preview(experiment)
    if cost.simulation and cost.simulation.seconds is None:
        raise Refusal(
            f"{experiment.method.label} has no estimate of seconds for matching=equal_seconds. "
            f"{cost.simulation.note}"
        )
    return cost.seconds_per_step


class _Known:
    """Stored seconds per step, by method, (model, task) pair and batch settings."""

    def __init__(self, folder: Path | None) -> None:
        self.file = folder / FILE if folder else None
        recorded = read_mapping(self.file) if self.file else None
        self.by_step: dict[str, float] = dict((recorded or {}).get("seconds_per_step", {}))

    def seconds(self, comparison: Comparison, contender: Contender, measure: Seconds) -> float:
        """Return the seconds per step of a method; measure them if not stored."""
        (experiment,) = comparison.experiments_of(contender, comparison.seeds[:1])
        settings = ("batch_size", "gradient_accumulation", "max_length", "precision", "threads")
        batch = {name: getattr(experiment.training, name) for name in settings}
        key = f"{experiment.method.meaning} on {contender.model_task} "
        key += json.dumps(batch, sort_keys=True)
        if key not in self.by_step:
            self.by_step[key] = measure(experiment)
            log.info("a step of %s takes %.4g s", key, self.by_step[key])
        return self.by_step[key]

    def write(self) -> None:
        """Write the measured seconds per step to the folder."""
        if self.file:
            make_folder(self.file.parent)
            write_json(self.file, {"seconds_per_step": self.by_step})


def contender_records(
    comparison: Comparison, contenders: Iterable[Contender]
) -> list[dict[str, Any]]:
    """Return the contenders as plain records, as in `summary.json`.

    Returns:
        One record per method and (model, task) pair: `model`, `task`, `task_options`; `declared`,
        the label in the description; `method`, the label of its runs without learning rate;
        `steps`; `point`, the tuned settings; `trials`, the losses of all trials;
        `tried`, those of finished trials by seed.
    """
    records = []
    for contender in contenders:
        (experiment,) = comparison.experiments_of(contender, comparison.seeds[:1])
        choice = experiment.method.replace(learning_rate=None)
        places = {n: absolute_place(getattr(contender.model_task, n)) for n in ("model", "task")}
        records.append(
            contender.model_task.fields
            | places
            | {
                "declared": contender.declared,
                "method": choice.replace(title="").label,
                "steps": experiment.training.steps,
                "point": dict(contender.point),
                "trials": list(contender.trials),
                "tried": dict(contender.tried),
            }
        )
    return records

"""Check of an edited comparison against the runs and trials in its folder.

More methods, seeds, models, tasks, rates, trials or repeats keep the finished runs valid. A
changed setting of every run invalidates them, so the comparison is refused before any run starts.
This prevents a second training by accident.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from qtha_lab.core.call_syntax import write_value
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.description import ModelTask
from qtha_lab.runs.launch import absolute_place, with_absolute_paths
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.tuned_methods import FOLDER, folder_of
from qtha_lab.studies.sweep.sweep_study import SweepStudy
from qtha_lab.studies.work import same_training

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.comparison_study import ComparisonStudy

log = logging.getLogger(__name__)

OF_THE_TRIALS = "tuning."  # prefix of tuning settings, which affect trials and not runs
NAMED = 3  # most runs named in a sentence; the rest are counted


def check_edit(comparison: Comparison, study: ComparisonStudy) -> None:
    """Refuse an edited comparison that would invalidate runs or trials in its folder.

    Raises:
        Refusal: If trained runs or ended trials no longer count. The message names each change and
            the number of runs and trials lost.
    """
    for before in _described_before(study):
        changes = {} if before == comparison else _changes(before, comparison)
        if not changes:
            continue
        lost = _trials_lost(study, comparison)
        if any(not name.startswith(OF_THE_TRIALS) for name in changes):
            lost += _runs_lost(study, comparison)
        if lost:
            raise Refusal(
                f"Settings must not change, or {' and '.join(lost)} in {study.path} would not "
                f"count, got: {'; '.join(changes.values())}. Choose another folder with --out, "
                "or restore the setting."
            )


def left_out(earlier: Sequence[Run]) -> list[str]:
    """Return a sentence on finished runs that the comparison does not use, or nothing."""
    finished = [run for run in earlier if run.status().state == "finished"]
    if not finished:
        return []
    names = [f"{r.experiment.method.label} seed {r.experiment.seed}" for r in finished[:NAMED]]
    more = f" and {len(finished) - NAMED} more" if len(finished) > NAMED else ""
    folder = finished[0].path.parent
    return [
        f"Finished runs in {folder} take no part, since the description asks for none of them (any"
        f" more): {', '.join(names)}{more}."
    ]


def _described_before(study: ComparisonStudy) -> Iterator[Comparison]:
    """Yield the comparison in the folder's description and that in its summary.

    The summary is older if the description was edited in place.
    """
    if study.exists:
        yield study.described
    fields = (read_mapping(study.summary_file) or {}).get("comparison")
    if isinstance(fields, dict):
        try:
            yield Comparison(**fields)
        except Refusal as reason:
            log.info("%s has no comparison of today: %s", study.summary_file, reason)


def _changes(before: Comparison, now: Comparison) -> dict[str, str]:
    """Return a sentence per changed setting of every run or trial, by setting name."""
    was, is_now = _of_every_run(before), _of_every_run(now)
    if bool(before.learning_rates) != bool(now.learning_rates):
        was["learning_rates"], is_now["learning_rates"] = before.learning_rates, now.learning_rates
    changes = {
        name: f"{name} was {_written(was[name])} and is {_written(is_now[name])}"
        for name in was
        if name in is_now and was[name] != is_now[name]
    }
    if not {*_model_tasks(before)} & {*_model_tasks(now)}:
        model_tasks = (
            "; ".join(map(str, _model_tasks(comparison))) for comparison in (before, now)
        )
        changes["cells"] = "The models and tasks were {} and are {}".format(*model_tasks)
    return changes


def _written(value: Any) -> str:
    if value is None or value == "":
        return "empty"
    return value if isinstance(value, str) else write_value(value)


def _of_every_run(comparison: Comparison) -> dict[str, Any]:
    """Return the settings shared by every run and trial of a comparison, by name."""
    shared = {name: getattr(comparison, name) for name in ("quantization", "head", "plugins")}
    course = Experiment(**shared, training=comparison.training.without_derived_steps)
    course = with_absolute_paths(course)
    values = shared | {"plugins": course.plugins}
    values |= {name: getattr(comparison, name) for name in ("scaling", "matching")}
    values |= {f"training.{name}": v for name, v in course.training.model_dump().items()}
    if course.training.epochs is not None:  # the steps follow from the epochs
        del values["training.steps"]
    values["tuning"] = "left out" if comparison.tuning is None else "asked for"
    if comparison.matching != "as_given":
        values["the first method"] = comparison.methods[0].label
    if comparison.tuning is not None:
        searched = comparison.tuning.model_dump(exclude={"trials"})  # more trials are allowed
        searched["axes"] = sorted(searched["axes"])  # more values per axis are allowed
        values |= {f"{OF_THE_TRIALS}{name}": value for name, value in searched.items()}
    return values


def _model_tasks(comparison: Comparison) -> list[ModelTask]:
    """Return the (model, task) pairs with paths shortened to their last part.

    A summary has only the last part of each path.
    """

    def last(name: str) -> str:
        return PurePath(absolute_place(name)).name

    return [ModelTask(last(c.model), last(c.task), c.options) for c in comparison.model_tasks]


def _runs_lost(study: ComparisonStudy, comparison: Comparison) -> list[str]:
    """Describe the runs with training steps that the comparison would not use.

    With tuning or matching by seconds, all runs with training steps count.
    """
    begun = []
    for run in study:
        status = run.status()
        if status.step and status.state != "failed":
            begun.append((same_training(run.experiment).model_dump_json(), status.state))
    if comparison.tuning is None and comparison.matching != "equal_seconds":
        planned = {same_training(e).model_dump_json() for e in comparison.experiments()}
        begun = [(meaning, state) for meaning, state in begun if meaning not in planned]
    if not begun:
        return []
    finished = sum(state == "finished" for _, state in begun)
    if finished == len(begun):
        return [f"the {finished} finished run{'s' * (finished > 1)}"]
    return [f"the {len(begun)} begun run{'s' * (len(begun) > 1)} ({finished} finished)"]


def _trials_lost(study: ComparisonStudy, comparison: Comparison) -> list[str]:
    """Describe the ended trials that the comparison would not use."""
    used = set()
    if comparison.tuning is not None:
        used = {folder_of(comparison, each, study.path) for each in comparison.contenders()}
    others = [SweepStudy(path) for path in (study.path / FOLDER).glob("*") if path not in used]
    records = [record for sweep in others if sweep.exists for record in sweep.records()]
    ended = sum(record.state != "running" for record in records)
    return [f"the {ended} trial{'s' * (ended > 1)} that ended"] if ended else []

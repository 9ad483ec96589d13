"""Runs as rows of plain values: identity, settings, measures and short label.

Every view of runs uses these rows. Reads run directories only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core import call_syntax as calls
from qtha_lab.core.metrics import recorded, with_units
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Training
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.run_data import find_runs

NOT_SETTINGS = ("name", "method", "training", "plugins", "task_options")
OF_NO_EFFECT = frozenset(
    {"seed", "threads", "report_to", "checkpoint_every", "eval_every", "spectrum_every"}
)
RATIO = "rate_ratios."  # prefix of a group of tensors


class RunValues(NamedTuple):
    """Values of one run.

    `label` is the method as launched. `settings` include the seed, each by its name as a sweep
    axis. `measures` are empty until the run has ended.
    """

    run: Run
    id: str
    label: str
    method: str
    seed: int
    state: str
    settings: dict[str, Any]
    measures: dict[str, Any]

    @property
    def values(self) -> dict[str, Any]:
        """Settings and measures in one mapping."""
        return self.settings | self.measures


def run_values(sources: Iterable[str | Path | Run], defaults: bool = True) -> list[RunValues]:
    """Return the values of runs, oldest first.

    Args:
        sources: Ids, directories, folders of runs or of a comparison, or runs.
        defaults: If true, fill options that only some runs of a method set with the method's
            defaults; this may load the method.

    Raises:
        Refusal: If a source is no run and contains none.
    """
    sources = list(sources)
    views = [source for source in sources if isinstance(source, Run)]
    views += find_runs([source for source in sources if not isinstance(source, Run)])
    readable = [run for run in views if not run.unreadable]
    rows = [_values(run) for run in sorted(readable, key=lambda run: run.id)]
    if defaults:
        _fill_defaults(rows)
    ratios = {name for row in rows for name in row.settings if name.startswith(RATIO)}
    for row in rows:
        row.settings.update(dict.fromkeys(ratios - row.settings.keys(), 1))
    return rows


def differing(rows: Sequence[RunValues], beside: Collection[str] = OF_NO_EFFECT) -> list[str]:
    """Return the settings that differ between runs, the method first.

    Args:
        rows: Runs to compare.
        beside: Settings to ignore; by default those without effect on learning results.
    """
    names = dict.fromkeys(name for row in rows for name in row.settings)
    return [
        name
        for name in names
        if name not in beside
        and len({repr(row.settings[name]) for row in rows if name in row.settings}) > 1
    ]


def short_labels(rows: Sequence[RunValues], apart: Collection[str] = ()) -> dict[str, str]:
    """Return a short label per run id: method and distinctive settings.

    Args:
        rows: Runs to compare.
        apart: Further settings to omit, such as the one along an axis.
    """
    names: dict[str, str] = {}
    for method in dict.fromkeys(row.method for row in rows):
        members = [row for row in rows if row.method == method]
        different = differing(members, OF_NO_EFFECT | set(apart))
        for row in members:
            options = {name: row.settings[name] for name in different if name in row.settings}
            names[row.id] = calls.call(method, options)
    return names


def _values(run: Run) -> RunValues:
    record = run.record
    experiment: dict[str, Any] = dict(record.experiment)
    status, summary = run.status(), record.summary if not record.flaw else None
    choice: Mapping[str, Any] = experiment.get("method", {})
    summary = summary if status.state in ("finished", "diverged") else None
    training = {name: setting.default for name, setting in settings_of(Training).items()}
    settings = {
        "method": choice["name"],
        "learning_rate": (summary or {}).get("learning_rate") or choice.get("learning_rate"),
        **choice.get("options", {}),
        **(
            {"target_modules": ", ".join(targets)}
            if (targets := choice.get("target_modules"))
            else {}
        ),
        **{name: value for name, value in experiment.items() if name not in NOT_SETTINGS},
        **experiment.get("task_options", {}),
        **training,
        **experiment.get("training", {}),
    }
    settings.setdefault("seed", 0)
    del settings["rate_ratios"]
    ratios = experiment.get("training", {}).get("rate_ratios", {})
    settings.update({f"{RATIO}{group}": ratio for group, ratio in ratios.items()})
    measures = {name: (summary or {}).get(name) for name in recorded()}
    if status.state == "diverged":
        measures = dict.fromkeys(measures) | {
            "trainable_parameters": measures["trainable_parameters"]
        }
    return RunValues(
        run,
        run.id,
        record.label,
        choice["name"],
        settings["seed"],
        status.state,
        settings,
        with_units({name: value for name, value in measures.items() if value is not None}),
    )


def _fill_defaults(rows: Sequence[RunValues]) -> None:
    """Fill options that only some runs of a method set with its defaults.

    Loads a method only if an option is missing.
    """
    for method in dict.fromkeys(row.method for row in rows):
        members = [row for row in rows if row.method == method]
        recorded_as: list[dict[str, Any]] = [dict(row.run.record.experiment) for row in members]
        options = dict.fromkeys(
            name for each in recorded_as for name in each["method"].get("options", {})
        )
        for row in members:
            missing = [name for name in options if name not in row.settings]
            if missing:
                row.settings.update(_defaults(method, missing))
            described = row.run.experiment
            if row.settings["learning_rate"] is None and not isinstance(described, Reproduced):
                row.settings["learning_rate"] = described.method.peak_learning_rate


def _defaults(method: str, names: Iterable[str]) -> dict[str, Any]:
    from qtha_lab.adapters import get_method

    declared = get_method(method).settings()
    return {name: declared[name].default for name in names if name in declared}

"""Runs grouped into the comparisons as which they were launched.

Reads run directories and starts nothing.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from qtha_lab.core.method_styles import shown
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.run_directory.plugins import trusted

# fields that all experiments of a comparison share: those that both models declare
SHARED = [name for name in Experiment.model_fields if name in Comparison.model_fields]


@dataclass(frozen=True)
class RunGroup:
    """A group of runs that differ in method and seed only."""

    runs: tuple

    @property
    def title(self) -> str:
        """A title such as `2026-11-24 15:30 · tiny/qa · lora, qtha · 2 runs`."""
        start = local_time(min(run.id for run in self.runs))
        comparison = self.comparison
        methods = ", ".join(method.label for method in comparison.methods)
        count = f"{len(self.runs)} run{'s' if len(self.runs) > 1 else ''}"
        return f"{start} · {comparison.model}/{comparison.task} · {methods} · {count}"

    @property
    def comparison(self) -> Comparison:
        """The comparison that these runs belong to."""
        experiments = [run.experiment for run in self.runs]
        first = experiments[0]
        return Comparison(
            **{name: getattr(first, name) for name in SHARED},
            methods=list({e.method.meaning: e.method for e in experiments}.values()),
            seeds=list(dict.fromkeys(e.seed for e in experiments)),
        )

    @property
    def trusted(self) -> Comparison:
        """The comparison, or a refusal if this user does not trust the plugins of a run."""
        for run in self.runs:
            trusted(run.path, run.experiment)
        return self.comparison


def local_time(run_id: str) -> str:
    """Return the local time at which a run was made, from its id.

    An id without a time is returned unchanged.

    Example:
        >>> local_time("my favourite")
        'my favourite'
    """
    try:
        start = datetime.strptime(run_id[:15], "%Y%m%d-%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return run_id
    return start.astimezone().strftime("%Y-%m-%d %H:%M")


def run_title(run) -> str:
    """Return a title such as `lora, seed 0 · tiny · qa · 2026-11-24 15:30`."""
    experiment = run.experiment
    place = f"{experiment.model} · {experiment.task}"
    return f"{named(experiment)} · {place} · {local_time(run.id)}"


def named(experiment: Experiment) -> str:
    """Return the method of an experiment with its seed."""
    return f"{shown(experiment.method.label)}, seed {experiment.seed}"


def is_comparison(runs: Iterable) -> bool:
    """Return True if runs differ in method and seed only."""
    shared = [{name: getattr(run.experiment, name) for name in SHARED} for run in runs]
    return all(fields == shared[0] for fields in shared)


def each_once(runs: Iterable) -> list:
    """Return only the newest of runs with the same method and seed.

    A repetition of the same training is not a further seed.
    """
    newest: dict = {}
    for run in sorted(runs, key=lambda run: run.id):
        newest[run.experiment.method.meaning, run.experiment.seed] = run.id
    return [run for run in runs if run.id in newest.values()]


def groups(runs: Iterable) -> list[RunGroup]:
    """Group runs by name, model, task and training.

    A repeated method and seed begins a new group.

    Args:
        runs: Newest first, in the order of `qtha_lab.list_runs`.
    """
    members: list[dict] = []  # per group, newest first
    latest: dict[str, dict] = {}  # group by the shared fields of its runs
    for run in runs:
        if run.unreadable:
            continue
        experiment = run.experiment
        shared = json.dumps(experiment.model_dump(exclude={"method", "seed"}), sort_keys=True)
        key = (experiment.seed, experiment.method.meaning)
        if key in latest.get(shared, {key}):
            latest[shared] = {}
            members.append(latest[shared])
        latest[shared][key] = run
    return [RunGroup(tuple(runs[key] for key in sorted(runs))) for runs in members]

"""Comparisons with which the page begins: presets, and runs grouped as they were launched.

Reads run directories. `add_runs` launches further runs under the name of earlier ones.
"""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.core.plugin_loading import load_plugins
from qtha_lab.experiment import Comparison, Experiment, Sweep
from qtha_lab.experiment.method_choice import MethodChoice, with_controls
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.runs.launch import in_launch_order, launch_all
from qtha_lab.runs.run import Run, list_runs, load_run
from qtha_lab.studies.comparison.contenders import timed
from qtha_lab.studies.comparison.protocol import open_sealed_pool
from qtha_lab.studies.sweep import SweepStudy

from ..runs.rows import time_of
from ..runs.variants import variants

SIZED = "qtha(r=4,waist=16,bond_dim=3)"  # 6,900 parameters on the toy model
RATES = "0.001..0.1 log 5"


def equal_size() -> Comparison:
    """Return QTHA against a LoRA of equal size: the waist follows LoRA's parameters."""
    return Comparison(methods="lora(r=2),qtha(r=4,bond_dim=3)", matching="equal_parameters")


def paper_sizes() -> Comparison:
    """Return QTHA at its published size and LoRA at r = 8."""
    return Comparison(methods=["qtha(size=paper)", "lora(r=8)"])


def circuit_ablation() -> Comparison:
    """Return QTHA with and without its circuit."""
    return Comparison(methods=[SIZED, SIZED.replace(")", ",use_circuit=false)")])


def rate_sweep() -> Sweep:
    """Return a sweep of the learning rate for both methods."""
    return Sweep(methods=f"lora(r=2),{SIZED}", axes={"learning_rate": RATES})


def all_controls() -> Comparison:
    """Return QTHA with every classical control."""
    return Comparison(methods=with_controls(MethodChoice.parse(SIZED), "tiny"))


PRESETS: dict[str, Callable[[], Comparison | Sweep]] = {
    "QTHA against LoRA, equal size": equal_size,
    "sizes of the paper": paper_sizes,
    "with and without the circuit": circuit_ablation,
    "sweep the learning rate": rate_sweep,
    "is it quantum? (all controls)": all_controls,
}


# fields that all experiments of a comparison share: those that both models declare
SHARED = [name for name in Experiment.model_fields if name in Comparison.model_fields]


@dataclass(frozen=True)
class RunGroup:
    """A group of runs that differ in method and seed only."""

    runs: tuple

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
    start = time_of(run_id)
    return start.astimezone().strftime("%Y-%m-%d %H:%M") if start else run_id


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


log = logging.getLogger(__name__)
MOST_EARLIER = 5  # comparisons that the page offers again
RECENT = 200  # newest runs that are searched for the latest comparison


def group_of(attach: Iterable | None, recent: Sequence[RunGroup]) -> RunGroup | None:
    """Return the runs to attach, or the latest comparison."""
    if attach is None:
        newest = next(iter(recent), None)
        return RunGroup(tuple(in_launch_order(newest.runs))) if newest else None
    attached = [load_run(run) if isinstance(run, str) else run for run in attach]
    readable = tuple(run for run in attached if run.unreadable is None)
    return RunGroup(readable) if readable else None


def recent_groups() -> list[RunGroup]:
    """Return the latest comparisons, newest first."""
    return groups(run for run in list_runs()[:RECENT] if not run.record.origin)


def earlier(recent: Sequence[RunGroup]) -> dict[str, Callable[[], Comparison]]:
    """Return comparisons by title, to fill the form with."""
    return {
        f"{local_time(group.runs[0].id)} · {_methods(group)}": partial(getattr, group, "trusted")
        for group in recent[:MOST_EARLIER]
    }


def _methods(group: RunGroup) -> str:
    names = variants(run.experiment.method.label for run in group.runs).values()
    return ", ".join(variant.name for variant in names)


def run_named(name: str) -> Run | None:
    """Return a run of the folder; None if it is gone, such as a run in the trash."""
    try:
        return load_run(name)
    except Refusal as reason:
        log.debug("a ticked run is not shown: %s", reason)
        return None


def with_plugins(start: Comparison | Sweep | RunGroup) -> tuple[Comparison | Sweep, str]:
    """Import the plugins of an initial description, and return it with an empty message.

    If a plugin is missing or not trusted, return the default comparison and a sentence that states
    the reason.
    """
    try:
        start = start.trusted if isinstance(start, RunGroup) else start
        load_plugins(start.plugins)
    except Refusal as reason:
        log.warning("the form does not start with what was launched last: %s", reason)
        return equal_size(), f"The last comparison cannot be shown: {reason}"
    return start, ""


def latest(group: RunGroup | None) -> Sweep | None:
    """Return the last launched sweep, if no run of the group is newer."""
    folders = SweepStudy.list_all()
    if not folders or (group and max(run.id for run in group.runs) > folders[0].path.name):
        return None
    try:
        return folders[0].trusted
    except Refusal as reason:
        log.warning("sweep %s is not shown: %s", folders[0].path.name, reason)
        return None


def add_runs(comparison: Comparison, name: str) -> list[Run]:
    """Launch the runs of a comparison under one name, after checking all of them.

    Raises:
        Refusal: If any run is invalid; then none is started.
    """
    comparison.check()
    open_sealed_pool(comparison)
    experiments = [e.replace(name=name) for e in comparison.experiments(timed(comparison))]
    return launch_all(experiments, check=False)

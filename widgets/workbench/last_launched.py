"""The last launched sweep or comparison with its plugins, with which the page begins."""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from qtha_lab.core.errors import Refusal
from qtha_lab.core.plugin_loading import load_plugins
from qtha_lab.experiment import Comparison, Sweep
from qtha_lab.runs.launch import in_launch_order
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.runs.run import attach as attach_run
from qtha_lab.studies.sweep import SweepStudy

from ..runs.variants import variants
from .history import RunGroup, groups, local_time
from .presets import equal_size

log = logging.getLogger(__name__)
MOST_EARLIER = 5  # comparisons that the page offers again
RECENT = 200  # newest runs that are searched for the latest comparison


def group_of(attach: Iterable | None, recent: Sequence[RunGroup]) -> RunGroup | None:
    """Return the runs to attach, or the latest comparison."""
    if attach is None:
        newest = next(iter(recent), None)
        return RunGroup(tuple(in_launch_order(newest.runs))) if newest else None
    attached = [attach_run(run) if isinstance(run, str) else run for run in attach]
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
        return attach_run(name)
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

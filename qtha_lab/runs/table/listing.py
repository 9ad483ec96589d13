"""The frame of a folder's runs, kept up to date.

Running runs are read at each poll, the folder when it has changed. Draws nothing. The caller sets
the rate of polls; a large folder is read completely at a limited rate.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.experiment.run_directory.events import TERMINAL
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.runs.table.frame import as_frame, values, without_nan

if TYPE_CHECKING:
    import pandas

SHARE = 0.05  # maximum share of the time for reading an unchanged folder
PATIENCE = 5.0  # minimum seconds between two such readings


class Listing:
    """All runs of a folder, newest first.

    Args:
        folder: A folder of runs, or its trash.
        disk: Also measure the disk usage of each run.

    Example:
        >>> listing = Listing(Path("runs"))  # doctest: +SKIP
        >>> listing.look()  # doctest: +SKIP
        {'20261125-101500-tiny-qa-lora-s0-1a2b'}
    """

    def __init__(self, folder: Path, disk: bool = False):
        self.folder, self.disk = folder, disk
        self.runs: dict[str, Run] = {}
        self._values: dict[str, dict[str, Any]] = {}
        self._stamp: int | None = None
        self._due = 0.0

    @functools.cached_property
    def frame(self) -> pandas.DataFrame:
        """One row per run, newest first."""
        return as_frame(self._values.values())

    @property
    def going(self) -> list[str]:
        """The runs that have not ended."""
        return list(self.frame.index[~self.frame["state"].isin(TERMINAL)])

    def look(self) -> set[str]:
        """Update the rows; return the ids of changed, new and removed runs."""
        if self._changed_on_disk() or time.monotonic() >= self._due:
            return self.read()
        return self.renew(self.going)

    def read(self) -> set[str]:
        """Read the whole folder; return the ids of changed, new and removed runs."""
        begin, self._stamp = time.monotonic(), _stamp(self.folder)
        self.runs = {run.id: run for run in list_runs(self.folder, unreadable=True)}
        changed = self.renew(self.runs)
        end = time.monotonic()
        self._due = end + max(PATIENCE, (end - begin) / SHARE)
        return changed

    def renew(self, names: Collection[str]) -> set[str]:
        """Read these runs again; return the ids of changed, new and removed runs."""
        before, fresh = self._values, {n: values(self.runs[n], self.disk) for n in names}
        changed = {name for name, row in fresh.items() if row != before.get(name)}
        self._values = {name: fresh.get(name) or before[name] for name in self.runs}
        if list(self._values) != list(before):
            self.__dict__.pop("frame", None)
        elif changed:
            rows = as_frame(fresh[name] for name in changed).reindex(columns=self.frame.columns)
            self.frame.loc[rows.index] = without_nan(rows)
        return changed | (before.keys() - self._values.keys())

    def _changed_on_disk(self) -> bool:
        return self._stamp != _stamp(self.folder)


def _stamp(folder: Path) -> int | None:
    """Return the time at which an entry of a folder was last added or removed."""
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return None

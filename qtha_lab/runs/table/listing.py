"""The rows of a folder, kept up to date.

Running runs are read at each poll, the folder when it has changed. Draws nothing. The caller sets
the rate of polls; a large folder is read completely at a limited rate.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from pathlib import Path

from qtha_lab.experiment.run_directory.status import TERMINAL
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.runs.table.rows import DISK, Row, row, rows

SHARE = 0.05  # maximum share of the time for reading an unchanged folder
PATIENCE = 5.0  # minimum seconds between two such readings


class Listing:
    """All rows of a folder, newest first.

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
        self.by_id: dict[str, Row] = {}
        self._stamp: int | None = None
        self._due = 0.0

    @property
    def rows(self) -> list[Row]:
        """One row per run, newest first."""
        return list(self.by_id.values())

    @property
    def going(self) -> list[str]:
        """The runs that have not ended."""
        return [name for name, row in self.by_id.items() if row["state"] not in TERMINAL]

    def look(self) -> set[str]:
        """Update the rows; return the ids of changed, new and removed runs."""
        if self._changed_on_disk() or time.monotonic() >= self._due:
            return self.read()
        return self.renew(self.going)

    def read(self) -> set[str]:
        """Read the whole folder; return the ids of changed, new and removed runs."""
        begin, before, self._stamp = time.monotonic(), self.by_id, _stamp(self.folder)
        runs = list_runs(self.folder, unreadable=True)
        self.runs = {run.id: run for run in runs}
        self.by_id = {row["run"]: row for row in rows(runs, self.disk)}
        end = time.monotonic()
        self._due = end + max(PATIENCE, (end - begin) / SHARE)
        for name, row_before in before.items():  # an unchanged row stays the same object
            if self.by_id.get(name) == row_before:
                self.by_id[name] = row_before
        names = before.keys() | self.by_id.keys()
        return {name for name in names if before.get(name) is not self.by_id.get(name)}

    def renew(self, names: Collection[str]) -> set[str]:
        """Read these runs again; return the ids of those that have changed."""
        changed = set()
        for name in names:
            if name in self.runs:
                before = self.by_id[name]
                disk = {key: before[key] for key in (DISK,) if key in before}
                present = row(self.runs[name]) | disk
                if present != before:
                    self.by_id[name] = present
                    changed.add(name)
        return changed

    def _changed_on_disk(self) -> bool:
        return self._stamp != _stamp(self.folder)


def _stamp(folder: Path) -> int | None:
    """Return the time at which an entry of a folder was last added or removed."""
    try:
        return os.stat(folder).st_mtime_ns
    except FileNotFoundError:
        return None

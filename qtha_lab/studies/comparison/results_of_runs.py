"""Entries of the ended runs of a comparison, and its `summary.json` while runs train."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.io import write_json
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.changes import left_out
from qtha_lab.studies.comparison.contenders import contender_records
from qtha_lab.studies.comparison.summary import summary_of
from qtha_lab.studies.work import Work

SUMMARY_SHARE = (
    0.05  # share of time for summaries during runs: with hundreds of runs one takes seconds
)


@dataclass
class Results:
    """Results of a comparison that is being run.

    Attributes:
        folder: Folder of the comparison.
        comparison: Comparison that is run.
        contenders: Contenders with measured steps and tuned settings.
        expected: Number of planned runs.
        table: One run per (model, task) pair, method, learning rate and seed.
        repeats: Runs with 1-ulp perturbations.
        left_out: Existing runs that no experiment uses.
        entries: Entries of the ended runs, by directory.
    """

    folder: Path
    comparison: Comparison
    contenders: Sequence[Contender]
    expected: int
    table: list[Run] = field(default_factory=list)
    repeats: list[Run] = field(default_factory=list)
    left_out: list[Run] = field(default_factory=list)
    entries: dict[Path, dict[str, Any]] = field(default_factory=dict)
    due: float = 0.0

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """Contenders as plain records."""
        return contender_records(self.comparison, self.contenders)

    def collect(self, work: Work, runs: Sequence[Run]) -> Iterator[None]:
        """Wait until runs have ended, and write the summary as often as that is cheap."""
        behind = False
        while True:
            behind = self.update(work) or behind
            if all(run.path in self.entries for run in runs):
                return
            if behind and (start := time.monotonic()) >= self.due:
                self.write()
                behind, end = False, time.monotonic()
                self.due = end + (end - start) / SUMMARY_SHARE
            yield

    def update(self, work: Work) -> bool:
        """Read the results of newly ended runs; return True if there are any."""
        before = len(self.entries)
        for run in (*self.table, *self.repeats):
            if run.path not in self.entries and (status := work.ended(run)):
                self.entries[run.path] = run.outcome(status)
        return len(self.entries) > before

    def entries_of(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        """Return the entries of the ended runs among some, in order."""
        return [self.entries[run.path] for run in runs if run.path in self.entries]

    def write(self) -> dict[str, Any]:
        """Write `summary.json`, and return its content."""
        ended = [run for run in self.table if run.path in self.entries]
        table, repeats = self.entries_of(self.table), self.entries_of(self.repeats)
        summary = summary_of(self.comparison, self.records, table, ended, repeats, self.expected)
        summary["notes"] += left_out(self.left_out)
        write_json(self.folder / "summary.json", summary)
        return summary


def summarise_runs(
    comparison: Comparison, queue: Sequence[Run], contenders: Sequence[Contender] | None = None
) -> dict[str, Any]:
    """Return the summary of the ended runs, as in `summary.json`.

    Args:
        comparison: Comparison that was run.
        queue: Runs of the comparison.
        contenders: Contenders; None uses the comparison's own, without matching by seconds or
            tuning.

    Returns:
        See `summary.summary_of`.
    """
    ended = [(run, status) for run in queue if (status := run.status()).ended]
    entries = [run.outcome(status) for run, status in ended]
    takes_part = comparison.contenders() if contenders is None else contenders
    methods = contender_records(comparison, takes_part)
    return summary_of(comparison, methods, entries, [run for run, _ in ended], [], len(queue))

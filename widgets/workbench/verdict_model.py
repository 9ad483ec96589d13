"""Model of the verdict: finding on the ticked runs, next steps, claims, table and notes.

The sentences are those of `qtha-lab explain`; `qtha_lab.studies.comparison.explain` makes them.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import traitlets

from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.runs.launch import in_launch_order
from qtha_lab.runs.run import Run
from qtha_lab.runs.table import frame, query
from qtha_lab.runs.table.columns import column_text, worth_showing
from qtha_lab.studies import comparison
from qtha_lab.studies.comparison.differences import forest_of
from qtha_lab.studies.comparison.explain import Findings, NextStep, change, explain

from ..runs.variants import MethodVariant, variants
from .history import RunGroup, each_once, is_comparison

EMPTY = "Tick runs in the table below to compare them, or press Launch."
MOST_EXPLAINED = 60  # runs; more would take seconds
MOST_ROWS = 24
SEVERAL = (
    "These runs differ in more than method and seed. A row is the mean over runs that differ in "
    "their seed alone."
)
AGAIN = "{} with the method and seed of a newer one left out: a repetition is no further seed."


class VerdictModel(traitlets.HasTraits):
    """The verdict on runs; renew by `await model.renew(runs)`, observe `revision`.

    Attributes:
        lead: First sentence of the finding.
        others: Further sentences, the change by the last step first.
        rows: Table of results as text.
        notes: Notes on the table.
        has_figure: True if a difference is claimed, which is drawn.
    """

    lead = traitlets.Unicode()
    others = traitlets.Tuple()
    rows, notes = traitlets.List(), traitlets.List()
    has_figure = traitlets.Bool(False)
    revision = traitlets.Int(0)

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.explained: Findings | None = None
        self.known: dict[str, MethodVariant] = {}
        # label of the last step, the findings before it, and their runs
        self.continued: tuple[str, Findings, set[str]] | None = None
        self.empty()

    def empty(self, reason: str = EMPTY) -> None:
        """Set the reason for an empty verdict."""
        self.explained, self.lead, self.others, self.rows, self.notes = None, reason, (), [], []
        self._renewed()

    async def renew(self, runs: Sequence[Run]) -> None:
        """Compute finding and table in a thread."""
        runs = list(runs)
        if not runs:
            return self.empty()
        self._store(runs, *await asyncio.to_thread(_findings, runs))

    def renew_now(self, runs: Sequence[Run]) -> None:
        """Compute finding and table."""
        if runs:
            self._store(runs, *_findings(list(runs)))

    def expect(self, step: NextStep, runs: Sequence[Run]) -> None:
        """State the change of the finding when the runs of a next step have ended.

        Args:
            step: Launched step.
            runs: Runs that it continues.
        """
        if self.explained:
            self.continued = step.label, self.explained, {run.id for run in runs}

    @property
    def sentence(self) -> str:
        """The first finding; "" before there is one."""
        return self.explained.sentences[0] if self.explained and self.explained.sentences else ""

    @property
    def next_steps(self) -> list[NextStep]:
        """Further runs, the most useful first."""
        return self.explained.next_steps if self.explained else []

    @property
    def figures(self) -> dict[str, Figure]:
        """The differences with their intervals as a figure, if any is claimed."""
        claims = [claim.plain() for claim in self.explained.claims] if self.explained else []
        if not claims:
            return {}
        names = variants(label for each in claims for label in (each["first"], each["second"]))
        return {"forest": forest_of(claims, lambda label: names[label].name)}

    def _store(
        self,
        runs: Sequence[Run],
        explained: Findings | None,
        rows: list[dict[str, str]],
        notes: list[str],
    ) -> None:
        self.explained = explained
        found = explained.sentences if explained else [_too_many(runs)]
        self.lead, *others = found or ["No run has ended yet."]
        self.others = (*self._changes(runs, explained), *others)
        self.known = variants(run.experiment.method.label for run in runs)
        self.rows, self.notes = rows, notes
        self._renewed()

    def _renewed(self) -> None:
        self.has_figure = bool(self.explained and self.explained.claims)
        self.revision += 1

    def _changes(self, runs: Sequence[Run], explained: Findings | None) -> list[str]:
        """State the change by the last step, once the runs before and after it have ended."""
        if self.continued is None or explained is None:
            return []
        label, before, continued = self.continued
        is_complete = continued < {run.id for run in runs} or not continued
        if not is_complete or not all(run.status().ended for run in runs):
            return []
        return [change(before, explained, label)]


def _findings(runs: list[Run]) -> tuple[Findings | None, list[dict[str, str]], list[str]]:
    """Return the finding on runs, their table and notes on the table."""
    explained = explain(runs) if len(runs) <= MOST_EXPLAINED else None
    if not is_comparison(runs):
        return explained, rows_of(runs)[:MOST_ROWS], [SEVERAL]
    once = in_launch_order(each_once(runs))
    summary = comparison.summarise_runs(RunGroup(tuple(once)).trusted, once)
    again = len(runs) - len(once)
    repeats = [AGAIN.format(f"{again} run{'s' if again > 1 else ''}")] if again else []
    if not summary["runs"]:
        return explained, [], repeats
    return explained, comparison.rows(summary), [*repeats, *summary["notes"]]


def _too_many(runs: Sequence[Run]) -> str:
    return f"{len(runs)} runs are ticked; a finding in words takes at most {MOST_EXPLAINED}."


def rows_of(runs: Iterable[Run]) -> list[dict[str, str]]:
    """Format runs of several launches as rows, seeds grouped, with their differing settings."""
    groups = query(frame(runs), sort="eval_loss", group="seeds")
    names = worth_showing(groups)
    rows = groups.to_dict("records")
    return [{name: column_text(row, name) for name in names} for row in rows]

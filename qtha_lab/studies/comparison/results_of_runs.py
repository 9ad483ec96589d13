"""Results of the ended runs of a comparison, and its `summary.json` while runs train."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.io import write_json
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.contenders import contender_records
from qtha_lab.studies.comparison.edited_comparison import left_out
from qtha_lab.studies.comparison.found_runs import names_in, renamed, shared_names
from qtha_lab.studies.comparison.notes import notes
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import protocol_sentences
from qtha_lab.studies.work import Work


def summary_of(
    comparison: Comparison,
    contenders: Sequence[dict[str, Any]],
    outcomes: list[dict[str, Any]],
    ended: Iterable[Run],
    repeats: Sequence[dict[str, Any]],
    expected: int,
) -> dict[str, Any]:
    """Compute the summary of a comparison.

    Returns:
        `comparison`, as plain data; the contenders, `runs` and `expected` as above; `notes`,
        sentences on results and limits; `claims`, `controls` and `decomposition`, the differences
        to the first method, to a method's own control and of parts of QTHA as numbers (see
        `claims.Claim`); `rounding`, the losses under 1-ulp perturbation by method; over
        several (model, task) pairs `pooled`, the pooled differences.
    """
    # imported here, since lists of runs do not need NumPy and SciPy
    from qtha_lab.runs.table.frame import results_frame
    from qtha_lab.studies.comparison import tuning
    from qtha_lab.studies.comparison.claims import against_the_first, without_a_loss
    from qtha_lab.studies.comparison.controls import against_controls, decompose
    from qtha_lab.studies.comparison.neighbouring_rates import robustness_sentences
    from qtha_lab.studies.comparison.row_losses import read_items

    items = read_items(ended)
    runs = results_frame(outcomes)
    rounding = {n: [*of["test_loss"]] for n, of in tuning.repeats_of(repeats, runs).items()}
    claims = against_the_first(runs, items, comparison.margin)
    parts = decompose(runs, items, comparison.margin)
    of_parts = {(row.claim.first, row.claim.second) for row in parts}
    controls = against_controls(runs, items, comparison.margin)
    sentences = [claim.sentence for claim in claims]
    sentences += robustness_sentences(claims)
    sentences += [lacking.sentence for lacking in without_a_loss(runs)]
    sentences += [tuning.noise_sentence(rounding, len(comparison.seeds)) or ""]
    summary: dict[str, Any] = {
        "comparison": comparison.model_dump(),
        "contenders": list(contenders),
        "runs": outcomes,
        "expected": expected,
        "notes": notes(runs, expected, sentences, protocol_sentences(comparison, contenders, runs)),
        "claims": [_with_conditions(comparison, claim.plain()) for claim in claims],
        "controls": [c.plain() for c in controls if (c.first, c.second) not in of_parts],
        "decomposition": [row.plain() for row in parts],
        "rounding": rounding,
    }
    if pivot_table := PivotTable.of(summary):
        summary["pooled"] = [pooled.plain() for pooled in pivot_table.pooled()]
        summary["notes"] += [pooled["sentence"] for pooled in summary["pooled"]]
    return renamed(summary, shared_names(names_in(summary)))


def _with_conditions(comparison: Comparison, claim: dict[str, Any]) -> dict[str, Any]:
    """Return the record of a claim with all its conditions and their sentence."""
    from qtha_lab.studies.comparison.contenders import Conditions

    of = Conditions.of(comparison, claim)
    return claim | {"conditions": {**vars(of), "sentence": of.sentence}}


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
        outcomes: Results of the ended runs, by directory.
    """

    folder: Path
    comparison: Comparison
    contenders: Sequence[Contender]
    expected: int
    table: list[Run] = field(default_factory=list)
    repeats: list[Run] = field(default_factory=list)
    left_out: list[Run] = field(default_factory=list)
    outcomes: dict[Path, dict[str, Any]] = field(default_factory=dict)
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
            if all(run.path in self.outcomes for run in runs):
                return
            if behind and (start := time.monotonic()) >= self.due:
                self.write()
                behind, end = False, time.monotonic()
                self.due = end + (end - start) / SUMMARY_SHARE
            yield

    def update(self, work: Work) -> bool:
        """Read the results of newly ended runs; return True if there are any."""
        before = len(self.outcomes)
        for run in (*self.table, *self.repeats):
            if run.path not in self.outcomes and (status := work.ended(run)):
                self.outcomes[run.path] = run.outcome(status)
        return len(self.outcomes) > before

    def outcomes_of(self, runs: Sequence[Run]) -> list[dict[str, Any]]:
        """Return the results of the ended runs among some, in order."""
        return [self.outcomes[run.path] for run in runs if run.path in self.outcomes]

    def write(self) -> dict[str, Any]:
        """Write `summary.json`, and return its content."""
        ended = [run for run in self.table if run.path in self.outcomes]
        table, repeats = self.outcomes_of(self.table), self.outcomes_of(self.repeats)
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
    outcomes = [run.outcome(status) for run, status in ended]
    takes_part = comparison.contenders() if contenders is None else contenders
    methods = contender_records(comparison, takes_part)
    return summary_of(comparison, methods, outcomes, [run for run, _ in ended], [], len(queue))

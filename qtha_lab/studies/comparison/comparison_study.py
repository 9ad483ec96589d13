"""A comparison as a study: tuning trials, runs, 1-ulp perturbation runs, summary and report.

The folder holds `comparison.yaml`, the contenders' seconds per step, `tuning/`, `rounding/`,
`summary.json` and the report.
"""

from __future__ import annotations

import functools
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.runs.run import Run, list_runs
from qtha_lab.studies.comparison import edited_comparison
from qtha_lab.studies.comparison.contenders import timed
from qtha_lab.studies.comparison.found_runs import described
from qtha_lab.studies.comparison.protocol import open_sealed_pool
from qtha_lab.studies.comparison.report import report
from qtha_lab.studies.comparison.results_of_runs import Results, summarise_runs
from qtha_lab.studies.comparison.table import numbers
from qtha_lab.studies.comparison.tuned_methods import folder_of, tuned
from qtha_lab.studies.comparison.tuning import at_best_rates
from qtha_lab.studies.study import StageProgress, Study
from qtha_lab.studies.sweep.sweep_study import SweepStudy
from qtha_lab.studies.work import OnProgress, Work

if TYPE_CHECKING:
    import pandas


class ComparisonStudy(Study):
    """Runs of every method, seed, model and task of a comparison, with its trials first.

    Example:
        >>> study = launch(Comparison(methods="lora,qtha"))  # doctest: +SKIP
        >>> study.wait().summary()["notes"][0]  # doctest: +SKIP
        'All methods of a seed started from the same evaluation loss (exactly).'
    """

    kind, describes = "comparison", Comparison

    perturbed_dir = property(lambda self: self.path / "rounding")
    page = property(lambda self: self.path / "report.html")

    @property
    def described(self) -> Comparison:
        """Comparison as described in the folder."""
        return described(self.description)

    comparison = described

    def prepare(self, described: Comparison) -> None:
        """Open the sealed test pools of the comparison."""
        open_sealed_pool(described)

    def check_edit(self, described: Comparison) -> None:
        """Refuse an edit that would invalidate runs or trials of the folder."""
        edited_comparison.check_edit(described, self)

    def first_experiments(self) -> list[Experiment]:
        """Return the experiments of a comparison without tuning."""
        comparison = self.trusted
        if comparison.tuning is not None:
            return []
        return self.named(comparison.experiments(timed(comparison, self.path)))

    def plan(self, work: Work) -> Generator[None, None, Any]:
        """Run the trials, the runs, then the 1-ulp perturbation runs; return the summary."""
        comparison = self.trusted
        open_sealed_pool(comparison)
        contenders = yield from tuned(self, timed(comparison, self.path), work)
        experiments = comparison.experiments(contenders)
        there = self.list_runs()
        results = Results(self.path, comparison, contenders, len(experiments))
        results.table = work.start(self.named(experiments), there=there)
        taken = {run.path for run in results.table}
        results.left_out = [run for run in there if run.path not in taken]
        try:
            yield from results.collect(work, results.table)
            ended = dict(enumerate(results.outcomes_of(results.table)))
            moved = comparison.perturbed(at_best_rates(experiments, ended))
            results.repeats = work.start(moved, self.perturbed_dir)
            yield from results.collect(work, results.repeats)
        finally:
            results.update(work)
            summary = results.write()
        return summary

    def finish(self) -> None:
        """Write the report."""
        report(self.path)

    def named(self, experiments: list[Experiment]) -> list[Experiment]:
        """Return experiments with the comparison's name if the runs folder is shared."""
        return (
            [e.replace(name=self.path.name) for e in experiments] if self.is_shared else experiments
        )

    def trials(self) -> list[SweepStudy]:
        """Return the sweep of each contender that has begun."""
        comparison = self.trusted
        if comparison.tuning is None:
            return []
        places = [folder_of(comparison, each, self.path) for each in comparison.contenders()]
        return [sweep for sweep in map(SweepStudy, places) if sweep.exists]

    def stages(self) -> list[StageProgress]:
        """Return the progress of trials, runs and 1-ulp perturbation runs."""
        trials, runs, moved = self._planned
        stages = [StageProgress("runs", _ended(self.list_runs()), runs)]
        if trials:
            records = [record for view in self.trials() for record in view.records()]
            ended = sum(record.state != "running" for record in records)
            stages.insert(0, StageProgress("trials", min(ended, trials), trials))
        if moved:
            repeats = _ended(list_runs(self.perturbed_dir))
            stages.append(StageProgress("rounding repeats", repeats, moved))
        return stages

    @functools.cached_property
    def _planned(self) -> tuple[int, int, int]:
        """Planned numbers of trials, runs and 1-ulp perturbation runs."""
        comparison = self.trusted
        contenders = comparison.contenders()
        sweeps = [comparison.sweep_of(contender) for contender in contenders if comparison.tuning]
        trials = sum(sweep.trials_of(method) for sweep in sweeps for method in sweep.methods)
        experiments = comparison.experiments(contenders)
        return trials, len(experiments), len(comparison.perturbed(experiments))

    def summary(self) -> dict[str, Any]:
        """Return the summary that the process of the study writes as runs end.

        Raises:
            Refusal: If no run has ended.
        """
        if (summary := read_mapping(self.summary_file)) is not None:
            return summary
        if self.described.tuning is None and any(status.ended for status in self.statuses()):
            return summarise_runs(self.trusted, self.list_runs())
        raise Refusal(f"Comparison {self.path.name} has no ended run ({self.sentence()}).")

    def table(self) -> pandas.DataFrame:
        """Return a table of means over the seeds of finished runs, by method.

        Learning results have their minimum and maximum too (`eval_loss`, `eval_loss_min`,
        `eval_loss_max`). The columns are named and sorted as in `qtha_lab.core.metrics`.
        `qtha_lab.studies.comparison.rows` returns the same data as text.
        """
        import pandas

        return pandas.DataFrame(numbers(self.summary()))


def run_comparison(
    comparison: Comparison,
    out: Path | str,
    on_progress: OnProgress | None = None,
    *,
    on: str | None = None,
) -> dict[str, Any]:
    """Run every method, seed, model and task of a comparison to its end.

    Another call with the same `out` continues, as `Study.run` does. `out/summary.json` is written
    as runs end.

    Args:
        comparison: Comparison to run.
        out: Folder of all results.
        on_progress: Callback with each run and its status, several times per second.
        on: Remote backend that trains the runs, by name; None is this machine.

    Returns:
        `{"comparison": …, "runs": [one mapping per run], "notes": [sentences]}`.

    Raises:
        Refusal: If the comparison cannot run, another process uses `out`, or an edit would
            invalidate runs in `out`.

    Example:
        >>> comparison = Comparison(methods="lora,qtha")
        >>> run_comparison(comparison, "out/tiny")["notes"][0]  # doctest: +SKIP
        'All methods of a seed started from the same evaluation loss (exactly).'
    """
    return ComparisonStudy(out).run(comparison, on_progress, on=on)


def _ended(runs: list[Run]) -> int:
    return sum(run.status().ended for run in runs)

"""Set of the runs of a comparison, with wait, stop, resume, table and figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from qtha_lab.experiment import Comparison
from qtha_lab.experiment.matched_methods import Contender
from qtha_lab.runs.run import RESUMABLE, Run, Status, resume_all
from qtha_lab.studies.comparison.run_comparison import summarise_runs
from qtha_lab.studies.comparison.table import numbers

if TYPE_CHECKING:
    import pandas

    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.studies.comparison.finding import Finding


class RunSet:
    """Runs of a comparison; each is a process that continues without this object.

    Args:
        comparison: Comparison that was launched.
        runs: One run per (model, task) pair, method, learning rate and seed, grouped by seed.
        contenders: Contenders with matched steps; None uses the comparison's own.

    Example:
        >>> runs = launch(Comparison(methods="lora,qtha", seeds=[0, 1]))  # doctest: +SKIP
        >>> runs.wait().table()[["method", "eval_loss"]]  # doctest: +SKIP
          method  eval_loss
        0   lora      4.122
        1   qtha      4.204
    """

    def __init__(
        self, comparison: Comparison, runs: list[Run], contenders: Sequence[Contender] | None = None
    ) -> None:
        self._comparison, self._runs, self.contenders = comparison, runs, contenders

    @property
    def comparison(self) -> Comparison:
        """Comparison that was launched."""
        return self._comparison

    @property
    def runs(self) -> Sequence[Run]:
        """One run per (model, task) pair, method, learning rate and seed, grouped by seed."""
        return self._runs

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def statuses(self) -> list[Status]:
        """Return the status of each run."""
        return [run.status() for run in self.runs]

    def wait(self, timeout: float | None = None) -> RunSet:
        """Wait until every run has ended, or for `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        for run in self.runs:
            run.wait(None if end is None else max(0.0, end - time.monotonic()))
        return self

    def stop(self) -> RunSet:
        """Stop all runs after their present step, saved, and wait for them."""
        for run in self.runs:
            run.request_stop()
        for run in self.runs:
            run.stop()
        return self

    def resume(self) -> RunSet:
        """Resume every run that was stopped, failed or died."""
        resume_all([run for run in self.runs if run.status().state in RESUMABLE])
        return self

    def summary(self) -> dict[str, Any]:
        """Return the summary of the ended runs, as `qtha-lab compare` writes it."""
        return summarise_runs(self.comparison, self.runs, self.contenders)

    def table(self) -> pandas.DataFrame:
        """Return a table of means over the seeds of finished runs, by method.

        Learning results have their minimum and maximum too (`eval_loss`, `eval_loss_min`,
        `eval_loss_max`). The columns are named and sorted as in `qtha_lab.core.metrics`.
        `qtha_lab.studies.comparison.rows` returns the same data as text.
        """
        import pandas

        return pandas.DataFrame(numbers(self.summary()))

    def findings(self) -> list[Finding]:
        """Return the findings in words and in figures, as `explain` and `qtha-lab plot` do."""
        from qtha_lab.studies.comparison.findings import findings

        return list(findings(list(self.runs)))

    def figures(self) -> list[Figure]:
        """Draw curves, seed spreads, Pareto plots, table, circuits and recorded spectra.

        Figures of unfinished runs show the data recorded so far.
        """
        from qtha_lab.studies.comparison.findings import figures

        return list(figures(list(self.runs)))

    def __repr__(self) -> str:
        states = [status.state for status in self.statuses()]
        counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
        noun = "run" if len(self.runs) == 1 else "runs"
        return f"<{len(self.runs)} {noun}: {counts}>"

"""View of a user's data on the page before any training, as `qtha-lab check-data` prints it.

Shown for files, folders and data sets of the Hub. Shipped tasks have no view.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtha_lab.experiment import Comparison, Experiment, Sweep

from ..kit import boxes
from ..kit.fold import Fold
from ..kit.loop import with_libraries
from .forecasts import typical

if TYPE_CHECKING:
    from qtha_lab.experiment.check_data import DataReport

SHOWN_LABELS = 20


class DataView:
    """Fold with kind, columns, split, labels, rows and advice of the data: show `view.fold`."""

    def __init__(self) -> None:
        self.facts = boxes.text("", "qtha-table")
        self.labels = boxes.text("", "qtha-table")
        self.rows = boxes.text("", "qtha-code")
        self.advice = boxes.text()
        parts = self.facts, self.labels, self.rows, self.advice
        self.fold = Fold("Your data", *parts, unfolded=True)
        boxes.show(self.fold, False)
        self.shown: list[str] = []

    async def show(self, described: Comparison | Sweep) -> None:
        """Show the data of a comparison or sweep, unless they are shown already.

        Args:
            described: The comparison or sweep.
        """
        experiments = await with_libraries(on_own_data, described)
        keys = [f"{_data(e)} {e.model} {e.training.max_length}" for e in experiments]
        if keys != self.shown:
            self._draw([await with_libraries(report_of, each) for each in experiments])
            self.shown = keys

    def _draw(self, reports: list[DataReport]) -> None:
        boxes.show(self.fold, bool(reports))
        self.facts.value = "".join(boxes.html_table(_facts(report)) for report in reports)
        self.labels.value = "".join(boxes.html_table(_labels(report)) for report in reports)
        rows = [row for report in reports for row in report.examples]
        self.rows.value = boxes.code("\n\n".join(rows)) if rows else ""
        sentences = [each for report in reports for each in (*report.notes, *report.advice)]
        self.advice.value = boxes.lines(sentences)


def on_own_data(described: Comparison | Sweep) -> list[Experiment]:
    """Return an experiment for each data set that is no registered task."""
    from qtha_lab.tasks import task_names

    known = task_names()
    experiments = [e for e in typical(described).values() if e.task not in known]
    return list({_data(e): e for e in experiments}.values())


def report_of(experiment: Experiment) -> DataReport:
    """Describe the data of an experiment."""
    from qtha_lab.experiment.check_data import check_data

    options = experiment.task_options
    limits = {"model": experiment.model, "max_length": experiment.training.max_length}
    return check_data(experiment.task, **limits, **options)


def _data(experiment: Experiment) -> str:
    return f"{experiment.task} {experiment.task_options}"


def _facts(report: DataReport) -> list[dict[str, str]]:
    return [{"data": name, report.name: value} for name, value in report.facts()]


def _labels(report: DataReport) -> list[dict[str, str]]:
    heading = ("label", "training", "evaluation", "test")
    rows = [(label, *map(str, counts)) for label, counts in report.labels.items()]
    return [dict(zip(heading, row, strict=True)) for row in rows[:SHOWN_LABELS]]

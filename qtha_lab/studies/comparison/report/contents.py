"""Contents of a comparison's folder: description, summary and runs.

Computes only the selection of the runs at each method's best learning rate; all other numbers are
from the summary.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import with_units
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.experiment.run_directory import read_mapping
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.runs import run as runs
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.claims import measure_of
from qtha_lab.studies.comparison.folder import described
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import protocol_sentences
from qtha_lab.studies.comparison.shared_names import names_in, renamed, shared_names
from qtha_lab.studies.comparison.tuning import at_their_best, family

Entry = dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """Comparison that was run, with its description and summary.

    Attributes:
        folder: Folder that `compare` wrote.
        comparison: Description of the comparison.
        yaml: Text of the file that repeats the comparison.
        places: Short names of models and tasks with an absolute path, by path.
        summary: Content of `summary.json`.
    """

    folder: Path
    comparison: Comparison
    yaml: str
    summary: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path | str) -> Compared:
        """Read the contents of a comparison's folder.

        Raises:
            Refusal: If the folder has no comparison, no run of it has ended, or its plugins are
                not trusted.
        """
        folder = Path(folder)
        file, summary = folder / "comparison.yaml", read_mapping(folder / "summary.json")
        if not file.is_file():
            raise Refusal(
                f"{folder} must be a folder that `qtha-lab compare` wrote, got one without a "
                "comparison."
            )
        if summary is None or not {"runs", "notes"} <= summary.keys():
            raise Refusal(
                f"{folder} must have a readable summary, got none. Run `qtha-lab compare` with "
                "the same --out to write it."
            )
        comparison = trusted(folder, described(file))
        places = [
            name
            for model_task in comparison.model_tasks
            for name in (model_task.model, model_task.task)
        ]
        names = shared_names([*places, *names_in(summary)])
        return cls(
            folder,
            comparison,
            renamed(comparison.to_yaml(), names),
            renamed(summary, names),
            names,
        )

    @cached_property
    def model_tasks(self) -> list[ModelTask]:
        """The (model, task) pairs in order, from the contenders and then the runs."""
        known = by_model_task(self.summary.get("contenders") or [])
        return [*dict.fromkeys([*known, *by_model_task(self.summary["runs"])])]

    @cached_property
    def pivot_table(self) -> PivotTable | None:
        """Pivot table over several (model, task) pairs; None for one pair or method."""
        return PivotTable.of(self.summary)

    def of_model_task(self, model_task: ModelTask) -> Compared:
        """Return the contents restricted to one model and task."""

        def there(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
            return by_model_task(records).get(model_task, [])

        parts = {
            name: there(self.summary.get(name) or ())
            for name in ("runs", "contenders", "claims", "decomposition")
        }
        return replace(self, summary=self.summary | parts)

    @cached_property
    def protocol(self) -> list[str]:
        """Sentences on matching and tuning, for a comparison of one (model, task) pair."""
        rules = protocol_sentences(
            self.comparison, self.summary.get("contenders") or [], self.entries
        )
        return [sentence for of_model_task in rules.values() for sentence in of_model_task]

    @cached_property
    def entries(self) -> list[Entry]:
        """Entries of all ended runs, with label without learning rate under `family`."""
        return [with_units(entry) | {"family": family(entry)} for entry in self.summary["runs"]]

    @cached_property
    def best(self) -> list[Entry]:
        """Entries of finished runs at the best learning rate of their method."""
        return at_their_best(self.entries)

    @cached_property
    def families(self) -> list[str]:
        """Labels of the methods without learning rate, in order."""
        return list(dict.fromkeys(entry["family"] for entry in self.entries))

    @cached_property
    def names(self) -> dict[str, str]:
        """Short name of each method label."""
        return short_names(self.families)

    @cached_property
    def measure(self) -> str:
        """Measure of the comparison: "test_loss" or "eval_loss"."""
        return measure_of(self.best)

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """Differences to the first method; empty for older summaries."""
        return self.summary.get("claims") or []

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        """Effect of each part of QTHA; empty for older summaries."""
        return self.summary.get("decomposition") or []

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Runs of the summary with an existing directory, by id."""
        ids = {entry["run_id"] for entry in self.entries if "run_id" in entry}
        here = runs.list_runs(self.folder / "runs")
        return {run.id: run for run in here if run.id in ids}

    def by_family(self, entries: list[Entry]) -> dict[str, list[Entry]]:
        """Group entries by method, in the order of the methods."""
        groups: dict[str, list[Entry]] = {name: [] for name in self.families}
        for entry in entries:
            groups[entry["family"]].append(entry)
        return {name: group for name, group in groups.items() if group}

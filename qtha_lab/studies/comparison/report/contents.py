"""What a comparison left in its folder, read once: its description, its summary and its runs.

Works out nothing that the summary does not hold, but which runs are at the best rate of their
method.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read
from qtha_lab.core.metrics import with_units
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.model_task_pairs import Cell, by_cell
from qtha_lab.experiment.run_directory import read_mapping
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.runs import run as runs
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison.claims import measure_of
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import terms
from qtha_lab.studies.comparison.shared_names import names_in, renamed, shared_names
from qtha_lab.studies.comparison.tuning import at_their_best, family

Entry = dict[str, Any]


@dataclass(frozen=True)
class Compared:
    """A comparison that was run.

    Attributes:
        folder: What `compare` wrote.
        comparison: What was run.
        yaml: The file that repeats it.
        places: Short names of the models and tasks that have a path, by the path.
        summary: As in `summary.json`.
    """

    folder: Path
    comparison: Comparison
    yaml: str
    summary: dict[str, Any]
    places: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, folder: Path | str) -> Compared:
        """What a folder holds.

        Raises:
            Refusal: If it holds no comparison, or one of which no run has ended.
        """
        folder = Path(folder)
        file, summary = folder / "comparison.yaml", read_mapping(folder / "summary.json")
        if not file.is_file():
            raise Refusal(
                f"{folder} holds no comparison: give the folder that `qtha-lab compare` wrote"
            )
        if summary is None or not {"runs", "notes"} <= summary.keys():
            raise Refusal(
                f"{folder} has no summary that can be read: no run of its comparison has ended, or it is damaged; "
                "`qtha-lab compare` with the same --out writes it"
            )
        comparison = Comparison.from_yaml(file)
        described = [name for cell in comparison.cells for name in (cell.model, cell.task)]
        names = shared_names([*described, *names_in(summary)])
        return cls(
            folder,
            comparison,
            renamed(read(file), names),
            renamed(summary, names),
            names,
        )

    @cached_property
    def cells(self) -> list[Cell]:
        """The models and tasks, in their order; those of the runs where a summary is older than its lineup."""
        known = by_cell(self.summary.get("lineup") or [])
        return [*dict.fromkeys([*known, *by_cell(self.summary["runs"])])]

    @cached_property
    def pivot_table(self) -> PivotTable | None:
        """The table across several cells."""
        return PivotTable.of(self.summary)

    def of_cell(self, cell: Cell) -> Compared:
        """What it shows on one model and task."""

        def there(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
            return by_cell(records).get(cell, [])

        parts = {
            name: there(self.summary.get(name) or ())
            for name in ("runs", "lineup", "claims", "decomposition")
        }
        return replace(self, summary=self.summary | parts)

    @cached_property
    def terms(self) -> list[str]:
        """By what methods were matched and tuned, where the comparison is of one cell."""
        rules = terms(self.comparison, self.summary.get("lineup") or [], self.entries)
        return [sentence for of_cell in rules.values() for sentence in of_cell]

    @cached_property
    def entries(self) -> list[Entry]:
        """Of all runs that ended, with the method without its rate under `family`."""
        return [with_units(entry) | {"family": family(entry)} for entry in self.summary["runs"]]

    @cached_property
    def best(self) -> list[Entry]:
        """Of the runs that finished at the best rate of their method."""
        return at_their_best(self.entries)

    @cached_property
    def families(self) -> list[str]:
        """The methods without their rates, in their order."""
        return list(dict.fromkeys(entry["family"] for entry in self.entries))

    @cached_property
    def names(self) -> dict[str, str]:
        """A name for each method as short as tells it from the others of its kind."""
        return short_names(self.families)

    @cached_property
    def measure(self) -> str:
        """What methods are compared by."""
        return measure_of(self.best)

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """The differences to the first method; of older summaries none."""
        return self.summary.get("claims") or []

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        """What each part of QTHA adds; of older summaries nothing."""
        return self.summary.get("decomposition") or []

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The runs of the summary whose directories are here, by id."""
        ids = {entry["run_id"] for entry in self.entries if "run_id" in entry}
        here = runs.list_runs(self.folder / "runs")
        return {run.id: run for run in here if run.id in ids}

    def by_family(self, entries: list[Entry]) -> dict[str, list[Entry]]:
        """Entries by method, in the order of the methods."""
        groups: dict[str, list[Entry]] = {name: [] for name in self.families}
        for entry in entries:
            groups[entry["family"]].append(entry)
        return {name: group for name, group in groups.items() if group}

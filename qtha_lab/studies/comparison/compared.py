"""Compared runs as findings read them: frame of runs, names, claims and protocol.

Read from the folder that `compare` wrote, or from runs of any launch. The numbers of a folder are
those of its summary; only the selection of each method's best learning rate is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_mapping
from qtha_lab.core.method_styles import shown
from qtha_lab.experiment import Comparison
from qtha_lab.experiment.comparison import MARGIN
from qtha_lab.experiment.description import ModelTask, by_model_task
from qtha_lab.experiment.run_directory.plugins import trusted
from qtha_lab.figures.machinery.legends import short_names
from qtha_lab.runs import run
from qtha_lab.runs.run import Run
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.runs.table.varied import filled, short_labels
from qtha_lab.studies.comparison.claims import against_the_first, measure_of
from qtha_lab.studies.comparison.found_runs import described, names_in, renamed, shared_names
from qtha_lab.studies.comparison.pivot_table import PivotTable
from qtha_lab.studies.comparison.protocol import protocol_sentences, tuning
from qtha_lab.studies.comparison.row_losses import read_items
from qtha_lab.studies.comparison.tuning import at_their_best, rates

if TYPE_CHECKING:
    import pandas

Events = Callable[[Run], list[dict[str, Any]]]
NAMES = ("short", "full")


class Recorded(NamedTuple):
    """Value of a method's events, with the drawn seed and the number of seeds."""

    value: Any
    seed: tuple[int, int]


@dataclass(frozen=True)
class Compared:
    """Compared runs, with their description and summary as far as they have one.

    Attributes:
        summary: Content of `summary.json`, or the same parts computed from runs. `runs` may be a
            frame.
        folder: Folder that `compare` wrote.
        comparison: Description of the comparison; the default for runs of any launch.
        yaml: Text of the file that repeats the comparison.
        places: Short names of models and tasks with an absolute path, by path.
        chosen: Runs of any launch; None reads those of the summary from the folder.
        shown: Runs in figures; None is those at the best learning rate.
        events: Function that reads the valid events of a run.
        bars: Bars of mean losses: intervals of the means or of the paired differences, or ranges.
    """

    summary: dict[str, Any]
    folder: Path = Path()
    comparison: Comparison = field(default_factory=Comparison)
    yaml: str = ""
    places: dict[str, str] = field(default_factory=dict)
    chosen: Sequence[Run] | None = None
    shown: pandas.DataFrame | None = None
    events: Events = Run.valid_events
    bars: Literal["interval", "paired", "range"] = "interval"

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
                f"{folder} has no readable summary. Run `qtha-lab compare` with "
                "the same --out to write it."
            )
        comparison = trusted(folder, described(file))
        pairs = comparison.model_tasks
        places = shared_names([n for p in pairs for n in (p.model, p.task)] + names_in(summary))
        yaml = renamed(comparison.to_yaml(), places)
        return cls(renamed(summary, places), folder, comparison, yaml, places)

    @classmethod
    def of_runs(cls, chosen: Sequence[Run], names: str = "short") -> Compared:
        """Compute the contents of runs of any launch, each method at its best learning rate.

        Raises:
            Refusal: If `names` is neither.
        """
        before = _summary_beside(chosen)
        runs = _in_order(results_frame(run.outcome() for run in chosen), before)
        claims = against_the_first(runs, read_items(chosen), _margin(before))
        pairs = runs.groupby("model_task", sort=False)
        tuned = any(len(by_rate) > 1 for _, of in pairs for by_rate in rates(of).values())
        best = at_their_best(runs)
        drawn = best if tuned and len(best) else runs
        drawn = drawn.assign(name=drawn["label"].map(names_of(drawn["label"], names)))
        summary = {"runs": runs, "claims": [claim.plain() for claim in claims]}
        return cls(summary, chosen=chosen, shown=drawn, bars="paired")

    @cached_property
    def model_tasks(self) -> list[ModelTask]:
        """The (model, task) pairs in order, from the contenders and then the runs."""
        known = by_model_task(self.summary.get("contenders") or [])
        return [*dict.fromkeys([*known, *self.frame["model_task"]])]

    @cached_property
    def pivot_table(self) -> PivotTable | None:
        """Pivot table over several (model, task) pairs; None for one pair or method."""
        return PivotTable.of(self.summary)

    def of_model_task(self, model_task: ModelTask) -> Compared:
        """Return the contents restricted to one model and task."""

        def of_pair(runs: pandas.DataFrame) -> pandas.DataFrame:
            return runs[runs["model_task"].eq(model_task)]

        parts: dict[str, Any] = {
            name: by_model_task(self.summary[name] or ()).get(model_task, [])
            for name in ("contenders", "claims", "controls", "decomposition")
            if name in self.summary
        }
        parts["runs"] = of_pair(self.frame)
        chosen = self.chosen and [r for r in self.chosen if r.experiment.model_task == model_task]
        shown = self.shown if self.shown is None else of_pair(self.shown)
        return replace(self, summary=self.summary | parts, chosen=chosen, shown=shown)

    @cached_property
    def protocol(self) -> list[str]:
        """Sentences on matching and tuning, for a comparison of one (model, task) pair."""
        rules = protocol_sentences(
            self.comparison, self.summary.get("contenders") or [], self.frame
        )
        return [sentence for of_model_task in rules.values() for sentence in of_model_task]

    @cached_property
    def tuned(self) -> list[str]:
        """Sentences on the tuning, for a comparison of one (model, task) pair."""
        return tuning(self.comparison, self.summary.get("contenders") or [], self.frame)

    @cached_property
    def best(self) -> pandas.DataFrame:
        """Finished runs at the best learning rate of their method, in order."""
        return at_their_best(self.frame)

    def by_method(self, runs: pandas.DataFrame) -> pandas.DataFrame:
        """Sort runs in the order of the methods."""
        places = {name: n for n, name in enumerate(self.families)}
        return runs.loc[runs["family"].map(places).sort_values(kind="stable").index]

    @cached_property
    def drawn(self) -> pandas.DataFrame:
        """Runs in figures, with the name of their method in the figures as `name`."""
        if self.shown is not None:
            return self.shown
        return self.by_method(self.best.assign(name=self.best["family"]))

    @cached_property
    def families(self) -> list[str]:
        """Labels of the methods without learning rate, in order."""
        return [*self.frame["family"].unique()]

    @cached_property
    def names(self) -> dict[str, str]:
        """Short name of each method label."""
        return short_names(self.families)

    def name_of(self, of_family: str) -> str:
        """Return the name in figures of a method label without learning rate."""
        names = dict(zip(self.drawn["family"], self.drawn["name"], strict=True))
        return names.get(of_family, of_family)

    @cached_property
    def measure(self) -> str:
        """Measure of the comparison: "test_loss" or "eval_loss"."""
        return measure_of(self.drawn[self.drawn["state"].eq("finished")])

    @cached_property
    def claims(self) -> list[dict[str, Any]]:
        """Differences to the first method; empty for older summaries."""
        return self.summary.get("claims") or []

    @cached_property
    def controls(self) -> list[dict[str, Any]]:
        """Differences to own controls that are no part of QTHA; empty for older summaries."""
        return self.summary.get("controls") or []

    @cached_property
    def parts(self) -> list[dict[str, Any]]:
        """Effect of each part of QTHA; empty for older summaries."""
        return self.summary.get("decomposition") or []

    @cached_property
    def runs(self) -> dict[str, Run]:
        """Runs of the summary with an existing directory, by id."""
        ids = {*self.frame["run_id"]}
        here = run.list_runs(self.folder / "runs") if self.chosen is None else self.chosen
        return {run.id: run for run in here if run.id in ids}

    @cached_property
    def frame(self) -> pandas.DataFrame:
        """Runs of the summary with their results, one per row, in order."""
        return results_frame(self.summary["runs"])

    @cached_property
    def settings(self) -> pandas.DataFrame:
        """Settings and measures of the chosen runs, oldest first."""
        return filled(self.chosen or ())

    @cached_property
    def oldest_first(self) -> list[Run]:
        """The chosen runs that can be read, oldest first."""
        readable = (run for run in self.chosen or () if not run.unreadable)
        return sorted(readable, key=lambda run: run.id)

    @cached_property
    def labels(self) -> dict[str, str]:
        """Short labels of the chosen runs, by run id."""
        return short_labels(self.settings)

    def events_of(self, row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the valid events of a run, or those in its row."""
        if row.get("events") is not None:
            return row["events"]
        name = row["run_id"]
        if name not in self._read:
            self._read[name] = self.events(self.runs[name])
        return self._read[name]

    @cached_property
    def _read(self) -> dict[str, list[dict[str, Any]]]:
        return {}  # events of this comparison's runs, which several findings read

    def first_recorded(self, read: Callable[[list[dict[str, Any]]], Any]) -> dict[str, Recorded]:
        """Read the events of each drawn method's lowest seed whose events have a value."""
        found = {}
        for name, runs in self.by_name().items():
            count = runs["seed"].nunique()
            for row in runs.sort_values("seed", kind="stable").to_dict("records"):
                is_here = row.get("run_id") in self.runs
                if name not in found and is_here and (value := read(self.events_of(row))):
                    found[name] = Recorded(value, (row["seed"], count))
        return found

    def by_name(self) -> dict[str, pandas.DataFrame]:
        """Group the drawn runs by the name of their method in figures."""
        return {str(name): of for name, of in self.drawn.groupby("name", sort=False)}


def names_of(labels: Iterable[str], names: str = "short") -> dict[str, str]:
    """Map each method label to its name in figures; titled methods keep their title.

    Raises:
        Refusal: If `names` is neither.

    Example:
        >>> names_of(["lora(r=2,learning_rate=0.01)", "qtha(r=4,waist=16)"])
        {'lora(r=2,learning_rate=0.01)': 'lora', 'qtha(r=4,waist=16)': 'qtha'}
    """
    if names not in NAMES:
        raise Refusal(f"names must be one of {', '.join(NAMES)}, got {names!r}.")
    labels = list(dict.fromkeys(labels))
    if names == "full":
        return {label: label for label in labels}
    untitled = short_names(label for label in labels if shown(label) == label)
    return {label: untitled.get(label, label) for label in labels}


def _summary_beside(chosen: Sequence[Run]) -> dict[str, Any]:
    """Read the summary of the comparison that contains all runs; empty without one."""
    folders = {run.path.parent.parent for run in chosen if run.path.parent.name == "runs"}
    if len(folders) != 1:
        return {}
    return read_mapping(folders.pop() / "summary.json") or {}


def _in_order(runs: pandas.DataFrame, summary: Mapping[str, Any]) -> pandas.DataFrame:
    """Sort runs by the method order of a comparison; other methods come last."""
    contenders = summary.get("contenders")
    places: dict[Any, int] = {}
    for record in contenders if isinstance(contenders, list) else ():
        if isinstance(record, dict) and isinstance(record.get("method"), str):
            places.setdefault(record["method"], len(places))
    order = runs["family"].map(places).fillna(len(places)).sort_values(kind="stable").index
    return runs.loc[order].reset_index(drop=True)


def _margin(summary: Mapping[str, Any]) -> float:
    """Return the margin that a comparison declared, or the default."""
    described = summary.get("comparison")
    margin = described.get("margin") if isinstance(described, dict) else None
    return float(margin) if isinstance(margin, int | float) else MARGIN

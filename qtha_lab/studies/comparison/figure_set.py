"""Figures of a comparison, forest of paired differences first, without file output."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.method_styles import shown
from qtha_lab.experiment.comparison import MARGIN
from qtha_lab.experiment.description import ModelTask, by_model_task, name_in
from qtha_lab.figures.curves import from_events, loss_curves
from qtha_lab.figures.forest import Difference, forest
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.pareto import Point, pareto
from qtha_lab.figures.results import results_table
from qtha_lab.figures.seeds import seed_spread
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import run_data as reading
from qtha_lab.studies.comparison import table, views
from qtha_lab.studies.comparison.circuit_figures import (
    circuits_of,
    diagrams,
    has_circuit,
    recorded_numbers,
)
from qtha_lab.studies.comparison.figure_names import (
    drawn_seeds,
    in_order,
    key,
    names_of,
    summary_beside,
)
from qtha_lab.studies.comparison.rate_figures import rate_figures
from qtha_lab.studies.comparison.run_values import run_values
from qtha_lab.studies.comparison.spectra_figures import noted, update_spectra
from qtha_lab.studies.comparison.trial_statistics import are_tuned
from qtha_lab.studies.comparison.tuning import at_their_best, family, rates

if TYPE_CHECKING:
    from qtha_lab.studies.comparison.claims import Claim
    from qtha_lab.studies.comparison.paired import PairedDifference

__all__ = ["circuits_of", "figure_set"]
COSTS = ("trainable_parameters", "seconds_per_step", "peak_memory_mib")
METHODS = (
    "The names of methods in the figures, each with its method, options and learning rate in full."
)
Entry = dict[str, Any]
log = logging.getLogger(__name__)


def figure_set(
    runs: Sequence[Run], on_left_out: Callable[[str], None] = log.warning, names: str = "short"
) -> Iterator[Figure]:
    """Draw the figures of runs for each model and task.

    Figures without recorded data are omitted.

    Methods with several learning rates are drawn at their best one, selected on evaluation rows.

    Args:
        runs: Runs to draw.
        on_left_out: Callback with the reason for a missing figure.
        names: "short" shortens each method label to its distinctive options; "full" shows all
            options.
    """
    summary = summary_beside(runs)
    entries = in_order(reading.entries(runs), summary)
    tuned = any(
        len(by_rate) > 1 for of in by_model_task(entries).values() for by_rate in rates(of).values()
    )
    drawn = (tuned and at_their_best(entries)) or entries
    named = names_of((entry["label"] for entry in drawn), names)
    model_tasks = by_model_task(drawn)
    claims = _claims(entries, runs, _margin(summary))
    by_id = {run.id: run for run in runs}
    for model_task, in_model_task in model_tasks.items():
        part = _Part(in_model_task, named, by_id, claims.get(model_task, []), on_left_out)
        every = [run for run in runs if run.experiment.model_task == model_task]
        for figure in _of_model_task(part, every):
            if len(model_tasks) < 2:
                yield _filed(figure)
            else:
                title = name_in(figure.title or figure.name, model_task, len(model_tasks))
                yield _filed(replace(figure, name=f"{figure.name}_{model_task}", title=title))


class _Part(NamedTuple):
    """Runs of one (model, task) pair, with entries, figure names and claims."""

    entries: list[Entry]
    names: Mapping[str, str]
    runs: Mapping[str, Run]
    claims: list[Claim]
    on_left_out: Callable[[str], None]

    @property
    def named(self) -> list[Entry]:
        """Entries with figure names as labels."""
        return [{**entry, "label": self.names[entry["label"]]} for entry in self.entries]

    def name_of(self, of_family: str) -> str:
        """Return the figure name of a method label without learning rate."""
        names = {family(entry): self.names[entry["label"]] for entry in self.entries}
        return names.get(of_family, of_family)

    @property
    def reference(self) -> str:
        """Figure name of the reference method."""
        return shown(self.name_of(self.claims[0].second))

    @property
    def seeds(self) -> dict[str, int]:
        """Number of seeds per method."""
        seeds: dict[str, set[int]] = {}
        for entry in self.named:
            seeds.setdefault(entry["label"], set()).add(entry["seed"])
        return {label: len(of) for label, of in seeds.items()}


def _margin(summary: Mapping[str, Any]) -> float:
    """Return the margin that a comparison declared, or the default."""
    described = summary.get("comparison")
    margin = described.get("margin") if isinstance(described, dict) else None
    return float(margin) if isinstance(margin, int | float) else MARGIN


def _claims(
    entries: list[Entry], runs: Sequence[Run], margin: float
) -> dict[ModelTask, list[Claim]]:
    """Compute the paired differences to the first method, by model and task."""
    from qtha_lab.studies.comparison.claims import against_the_first
    from qtha_lab.studies.comparison.row_losses import read_items

    claims: dict[ModelTask, list[Claim]] = {}
    for claim in against_the_first(entries, read_items(runs), margin):
        claims.setdefault(claim.model_task, []).append(claim)
    return claims


def _of_model_task(part: _Part, every: list[Run]) -> Iterator[Figure]:
    """Draw the figures of one (model, task) pair.

    `every` has all runs of the pair, which the tuning figures show.
    """
    named = part.named
    if part.claims:
        yield _forest(part)
        of = part.claims[0]
        yield from rate_figures(every, of.second, of.measure, of.difference.margin)
    if rows := table.rows({"runs": named}):
        yield results_table(rows)
    if any(name != label for label, name in part.names.items()):
        yield _methods(part)
    measure = "test_loss" if _all_tested(named) else "eval_loss"
    ends: dict[str, list[float]] = {}
    for entry in named:
        if entry["state"] == "finished" and entry.get(measure) is not None:
            ends.setdefault(entry["label"], []).append(entry[measure])
    yield seed_spread(ends, measure)
    events = {entry["run_id"]: part.runs[entry["run_id"]].valid_events() for entry in named}
    yield loss_curves(
        series
        for entry in named
        for series in from_events(entry["label"], entry["seed"], events[entry["run_id"]])
    )
    yield from _costs(part, measure)
    yield from tuning(every)
    yield from _of_one_seed(part, events)


def _all_tested(entries: Sequence[Entry]) -> bool:
    finished = [entry for entry in entries if entry["state"] == "finished"]
    return bool(finished) and all(entry.get("test_loss") is not None for entry in finished)


def _forest(part: _Part) -> Figure:
    rows: list[Difference] = []
    for claim in part.claims:
        of, label = claim.difference, shown(part.name_of(claim.first))
        row: Difference = {
            "label": label,
            "mean": of.mean,
            "low": of.low,
            "high": of.high,
            "verdict": of.verdict,
            "margin": of.margin,
        }
        rows.append(row)
    first = part.claims[0]
    return forest(rows, first.measure, part.reference, first.difference.level)


def _methods(part: _Part) -> Figure:
    """Draw the table of the short names."""
    names = key(part.entries, part.names)
    rows: list[dict[str, str]] = [{"method": row[0], "in full": row[1]} for row in names.rows]
    figure = results_table(rows, METHODS, best="")
    return replace(figure, name="methods", title="Methods", table=names)


def _costs(part: _Part, measure: str) -> Iterator[Figure]:
    """Draw quality against each cost, with intervals of paired differences where claimed."""
    intervals = {
        part.name_of(claim.first): claim.difference
        for claim in part.claims
        if claim.measure == measure
    }
    for cost in COSTS:
        points = reading.points(part.named, cost, measure)
        if len(points) > 1 and intervals:
            points = [_paired(point, intervals.get(point["label"])) for point in points]
            yield pareto(points, cost, measure, bars="paired", reference=part.reference)
        elif len(points) > 1:
            yield pareto(points, cost, measure)


def _paired(point: Point, difference: PairedDifference | None) -> Point:
    """Add the interval of the difference to a point; the reference gets none."""
    label, cost, quality = point["label"], point["cost"], point["quality"]
    if difference is None:
        return {"label": label, "cost": cost, "quality": quality}
    low, high = (quality + end - difference.mean for end in (difference.low, difference.high))
    return {
        "label": label,
        "cost": cost,
        "quality": quality,
        "quality_low": low,
        "quality_high": high,
    }


def tuning(runs: Sequence[Run]) -> Iterator[Figure]:
    """Draw the results of tuning trials, for methods run with several settings."""
    rows = run_values(runs)
    if not are_tuned(rows):
        return
    rates_differ = any(len(by_rate) > 1 for by_rate in rates(reading.entries(runs)).values())
    chosen = ["best_of", "parallel", "what_counts"]
    for name in ["loss_by_rate", *chosen] if rates_differ else chosen:
        try:
            yield views.make(views.VIEWS[name], views.RunSetValues(rows, views.history))
        except Refusal as refused:
            log.info("no figure %s: %s", name, refused)


def _of_one_seed(part: _Part, events: Mapping[str, list[dict[str, Any]]]) -> Iterator[Figure]:
    """Draw circuits and spectra of the first seed that recorded them."""
    experiments = {}
    for entry in part.named:
        experiments.setdefault(entry["label"], part.runs[entry["run_id"]].experiment)
    for label, figure in diagrams(experiments, part.on_left_out):
        yield replace(figure, name=f"circuit_{label}", title=f"Circuit of {label}")
    with_circuit = {label for label, experiment in experiments.items() if has_circuit(experiment)}
    counts, inputs, spectra = part.seeds, {}, {}
    for entry in sorted(part.named, key=lambda entry: entry["seed"]):
        label, of_run = entry["label"], events[entry["run_id"]]
        if label in with_circuit and any(e["kind"] == "bottleneck" for e in of_run):
            inputs.setdefault(label, (entry["seed"], of_run))
        if of := reading.spectra(of_run):
            spectra.setdefault(label, (entry["seed"], of))
    note = drawn_seeds({label: (seed, counts[label]) for label, (seed, _) in inputs.items()})
    for figure in recorded_numbers({label: of_run for label, (_, of_run) in inputs.items()}):
        yield noted(figure, note)
    if spectra:
        drawn = {label: (seed, counts[label]) for label, (seed, _) in spectra.items()}
        yield from update_spectra({label: of for label, (_, of) in spectra.items()}, drawn)


def _filed(figure: Figure) -> Figure:
    """Rename a figure to letters, digits, dots, dashes and single underscores."""
    slug = "".join(c if c.isalnum() or c in ".-" else "_" for c in figure.name)
    return replace(figure, name="_".join(filter(None, slug.split("_"))))

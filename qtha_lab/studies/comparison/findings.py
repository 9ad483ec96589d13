"""The list of findings on compared runs, read by page, report, figures and lessons.

A new finding is a function and one entry of the list. The function takes the compared runs, and
returns a finding or a figure. It raises a refusal, or returns no figure, where it does not apply.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown
from qtha_lab.experiment.description import ModelTask, name_in
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import (
    circuit_findings,
    differences,
    measured,
    over_settings,
    over_training,
    results,
)
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.finding import Finding
from qtha_lab.studies.comparison.found_runs import find_runs
from qtha_lab.studies.comparison.over_settings import tuned, tuned_rates

log = logging.getLogger(__name__)


IMPORTANCE = "Importance of settings"
RATES, TRIALS = "Loss against learning rate", "Best against trials"
DIFFERENCES = "Differences, paired by seed"
WHY = "Why: what circuits are fed, and what arrives"


class Entry(NamedTuple):
    """Entry of the list of findings.

    Attributes:
        name: Name of the finding.
        title: Heading of the finding.
        make: Function of the compared runs, with options.
        on: Places that show it: `report` (in the report of each model and task), `top` and `across`
            (once in the report, for any number of models and tasks or for several), `words`,
            `plot`, `page`.
        applies: Function that is false for runs without the finding.
    """

    name: str
    title: str
    make: Callable[..., Finding | Figure | None]
    on: str
    applies: Callable[[Compared], bool] = lambda compared: True

    @property
    def options(self) -> list[str]:
        """Names of the options of the finding."""
        return list(inspect.signature(self.make).parameters)[1:]

    def of(self, compared: Compared, **options: Any) -> Finding:
        """Return the finding on compared runs.

        Raises:
            Refusal: If it does not apply.
        """
        found = self.make(compared, **options)
        if not isinstance(found, Finding):
            found = Finding(figures=[found] if found else [])
        return replace(found, name=self.name, title=self.title)


FINDINGS = (
    Entry("words", "In words", differences.in_words, "words"),
    Entry("verdicts", "Verdicts", differences.verdicts, "top"),
    Entry("across", "Across models and tasks", differences.across, "across"),
    Entry("rates", RATES, over_settings.rates, "report"),
    Entry("differences", DIFFERENCES, differences.differences, "report plot"),
    Entry("difference_at_rates", DIFFERENCES, differences.difference_at_rates, "plot"),
    Entry("parts", "What each part adds", differences.parts, "report"),
    Entry("results", "Results", results.results, "plot"),
    Entry("methods", "Methods", results.method_names, "plot"),
    Entry("seeds", "Results by seed", results.seeds, "plot"),
    Entry("losses", "Losses over training", over_training.losses, "plot"),
    Entry("why", WHY, circuit_findings.why, "report"),
    Entry("fronts", "Pareto fronts", results.fronts, "report plot"),
    Entry("trials", TRIALS, over_settings.trials, "report"),
    Entry("curves", "Curves", over_training.curves, "page"),
    Entry("loss_by_rate", RATES, over_settings.loss_by_rate, "page plot", tuned_rates),
    Entry("parallel", "Parallel coordinates", over_settings.parallel, "page plot", tuned),
    Entry("scatter", "Scatter", over_settings.scatter, "page"),
    Entry("best_of", TRIALS, over_settings.best_of, "page plot", tuned),
    Entry("what_counts", IMPORTANCE, over_settings.importances, "page plot", tuned),
    Entry("spectra", "Spectra over training", over_training.spectra_at_steps, "page"),
    Entry("bonds", "Bonds over training", over_training.bonds, "page"),
    Entry("circuits", "Circuits over training", circuit_findings.circuits, "page"),
    Entry("diagrams", "Circuits", circuit_findings.diagrams, "plot"),
    Entry("circuit_numbers", WHY, circuit_findings.circuit_numbers, "plot"),
    Entry("update_spectra", "Spectra of updates", over_training.update_spectra, "plot"),
    Entry("measured", "How it was measured", measured.measured, "top"),
)
"""All findings, in the order of report, figures and page."""
PAGE = {entry.name: entry for entry in FINDINGS if "page" in entry.on}
"""Findings on any runs whose figure has options, by name."""


def reported(compared: Compared) -> list[Finding]:
    """Return the findings of a report, with one part per model and task."""
    pairs = compared.model_tasks
    if len(pairs) < 2:
        return [_of(each, compared) for each in FINDINGS if {*each.on.split()} & {"top", "report"}]
    *top, last = (_of(each, compared) for each in FINDINGS if each.on in ("top", "across"))
    return [*top, *(_of_pair(compared, number) for number in range(1, len(pairs) + 1)), last]


def _of(entry: Entry, compared: Compared) -> Finding:
    """Return a finding, or the reason why it does not apply."""
    try:
        return entry.of(compared)
    except Refusal as refused:
        return Finding([str(refused)], name=entry.name, title=entry.title)


def _of_pair(whole: Compared, number: int) -> Finding:
    """Return the findings on one model and task of several, as parts of one."""
    pair, name = whole.model_tasks[number - 1], f"cell-{number}"
    compared = whole.of_model_task(pair)
    parts = [_of(each, compared) for each in FINDINGS if "report" in each.on]
    parts = [replace(part, name=f"{name}-{part.name}") for part in parts]
    sentences = [*differences.stated(compared), *compared.protocol]
    tables = differences.results_tables(compared)
    return Finding(sentences, tables=tables, parts=parts, name=name, title=str(pair))


def findings(runs: Sequence[Run], names: str = "short") -> Iterator[Finding]:
    """Yield the findings in words, then in figures for each model and task.

    Methods with several learning rates are drawn at their best one, selected on evaluation rows.

    Args:
        runs: Runs of any launches.
        names: "short" shortens each method label to its distinctive options; "full" shows all
            options.
    """
    yield from _findings_at("words", Compared({}, chosen=runs))
    yield from _drawn(runs, names)


def figures(
    runs: Sequence[Run], on_left_out: Callable[[str], None] = log.warning, names: str = "short"
) -> Iterator[Figure]:
    """Draw the figures of `findings`, paired differences first.

    Args:
        runs: Runs to draw.
        on_left_out: Callback with the reason for a missing figure.
        names: As in `findings`.
    """
    for found in _drawn(runs, names):
        yield from found.figures
        for reason in found.left_out:
            on_left_out(reason)


def _drawn(runs: Sequence[Run], names: str) -> Iterator[Finding]:
    compared = Compared.of_runs(runs, names)
    pairs = compared.drawn["model_task"].unique()
    for pair in pairs:
        for found in _findings_at("plot", compared.of_model_task(pair)):
            figures = [_named(figure, pair, len(pairs)) for figure in found.figures]
            yield replace(found, figures=figures, title=name_in(found.title, pair, len(pairs)))


def _findings_at(place: str, compared: Compared) -> Iterator[Finding]:
    for entry in FINDINGS:
        if place in entry.on and entry.applies(compared):
            try:
                yield entry.of(compared)
            except Refusal as refused:
                if "page" not in entry.on:  # on the page, the reason is the answer
                    raise
                log.info("no figure %s: %s", entry.name, refused)


def _named(figure: Figure, pair: ModelTask, pairs: int) -> Figure:
    """Name a figure, with its model and task among several, for a file."""
    name = f"{figure.name}_{pair}" if pairs > 1 else figure.name
    title = name_in(figure.title or figure.name, pair, pairs) if pairs > 1 else figure.title
    file_name = re.sub(r"(_|[^\w.-])+", "_", name).strip("_")
    return replace(figure, name=file_name, title=title)


def draw_finding(name: str, sources: Iterable[str | Path | Run], **options: Any) -> Figure:
    """Draw a finding on any runs.

    Raises:
        Refusal: If the finding is unknown or does not apply to these runs.

    Example:
        >>> draw_finding("loss_by_rate", ["out/sweep"]).export("rate.pdf")  # doctest: +SKIP
    """
    if name not in PAGE:
        raise unknown("finding", name, PAGE)
    return draw_of(PAGE[name], Compared({}, chosen=find_runs(sources)), **options)


def draw_of(entry: Entry, compared: Compared, **options: Any) -> Figure:
    """Draw a finding on compared runs; refuse unknown options."""
    if not compared.oldest_first:
        raise Refusal("Runs to draw must be at least one, got none. Tick some runs.")
    if wrong := [option for option in options if option not in entry.options]:
        known = ", ".join(entry.options) or "none"
        raise Refusal(f"Options of {entry.name} must be {known}, got {', '.join(wrong)}.")
    (figure,) = entry.of(compared, **options).figures
    return figure

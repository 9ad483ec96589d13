"""The figures of a comparison: curves, Pareto plots, table, circuits, and spectra where they were recorded.

Draws; writes no file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from qtha_lab.circuits.rows import gate_rows
from qtha_lab.compare import reading, table, views
from qtha_lab.compare.run_values import differing, run_values
from qtha_lab.errors import Refusal
from qtha_lab.experiment.cells import Cell, name_in
from qtha_lab.experiment.reproduced import Reproduced
from qtha_lab.figures.bond_history import bond_history
from qtha_lab.figures.bottlenecks import by_block, circuit_inputs, over_steps
from qtha_lab.figures.circuit import GateRow, circuit_diagram
from qtha_lab.figures.circuit_history import circuit_history
from qtha_lab.figures.curves import from_events, loss_curves
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.pareto import pareto
from qtha_lab.figures.rank_views import rank_by_layer
from qtha_lab.figures.results import results_table
from qtha_lab.figures.seeds import seed_spread
from qtha_lab.figures.spectra import singular_values, spectrum_over_training
from qtha_lab.runs import Run

COSTS = ("trainable_parameters", "seconds_per_step", "peak_memory_mib")
log = logging.getLogger(__name__)


def figure_set(
    runs: list[Run], on_left_out: Callable[[str], None] = log.warning
) -> Iterator[Figure]:
    """The figures of some runs, of each model and task by itself; those left out for which nothing was recorded.

    Args:
        runs: What to draw.
        on_left_out: Called with the sentence that says why a figure is missing.
    """
    cells: dict[Cell, list[Run]] = {}
    for run in runs:
        cells.setdefault(run.experiment.cell, []).append(run)
    for cell, in_cell in cells.items():
        for figure in _in_a_cell(in_cell, on_left_out):
            if len(cells) < 2:
                yield figure
            else:
                yield _named(
                    figure,
                    f"{figure.name}_{cell}",
                    name_in(figure.title or figure.name, cell, len(cells)),
                )


def _in_a_cell(runs: list[Run], on_left_out: Callable[[str], None]) -> Iterator[Figure]:
    """The figures of runs on one model and task."""
    entries = reading.entries(runs)
    events = {run.path: run.history() for run in runs}
    labels = {
        run.path: (entry["label"], entry["seed"]) for run, entry in zip(runs, entries, strict=True)
    }
    yield loss_curves(
        series for path in events for series in from_events(*labels[path], events[path])
    )
    finished = [entry for entry in entries if entry["state"] == "finished"]
    ends: dict[str, list[float]] = {}
    for entry in finished:
        if entry.get("eval_loss") is not None:
            ends.setdefault(entry["label"], []).append(entry["eval_loss"])
    yield seed_spread(ends)
    for cost in COSTS:
        points = reading.points(entries, cost, "eval_loss")
        if len(points) > 1:
            yield pareto(points, cost=cost)
    if rows := table.rows({"runs": entries}):
        yield results_table(rows)
    yield from tuning(runs)
    by_label = {entry["label"]: run for run, entry in zip(runs, entries, strict=True)}
    yield from circuits(by_label, on_left_out)
    first: dict[str, Any] = {}
    for path, (label, _) in labels.items():
        if history := over_steps(events[path]):
            first.setdefault(label, (by_block(events[path]), history))
    if first:
        yield circuit_inputs({label: ends for label, (ends, _) in first.items()})
    histories = {label: history for label, (_, history) in first.items() if len(history) > 2}
    if histories:  # more than the ends
        yield circuit_history(histories)
    yield from update_spectra({path: reading.spectra(events[path]) for path in events}, labels)


def tuning(runs: list[Run]) -> Iterator[Figure]:
    """What the settings of the runs led to, where some method was run at several points in them."""
    rows = run_values(runs)
    methods = dict.fromkeys(row.method for row in rows)
    varied = {name for m in methods for name in differing([r for r in rows if r.method == m])}
    if not varied:
        return
    chosen = ["best_of", "parallel", "what_counts"]
    for name in ["loss_by_rate", *chosen] if "learning_rate" in varied else chosen:
        try:
            yield views.make(views.VIEWS[name], views.RunSetValues(rows, views.history))
        except Refusal as refused:
            log.info("no figure %s: %s", name, refused)


def circuits(by_label: dict[str, Run], on_left_out: Callable[[str], None]) -> Iterator[Figure]:
    """The circuits that each method runs, one for every size; of a model that is not here, none."""
    for label, run in by_label.items():
        try:
            different = circuits_of(run.experiment)
        except Refusal as refused:
            on_left_out(f"no circuit of {label}: {refused}")
            continue
        for circuit in different:
            size = f", {circuit.n_qubits} qubits" if len(different) > 1 else ""
            rows = cast(list[GateRow], gate_rows(circuit))
            figure = circuit_diagram(circuit.n_qubits, rows)
            yield _named(figure, f"circuit_{label}{size}", f"Circuit of {label}{size}")


def circuits_of(experiment: Any) -> list[Any]:
    """The different circuits that an experiment runs, on its model's layers without their weights."""
    from qtha_lab import adapters, models

    if isinstance(experiment, Reproduced):
        return []
    choice = experiment.method
    method = adapters.get_method(choice.name)
    if not method.ours:
        return []
    targets = choice.target_modules or models.default_target_modules(experiment.model)
    config = method.make_config(None, targets, **choice.options)
    # adapters lie below the head, whichever it is
    empty = models.empty_model(experiment.model, head="classification", n_labels=2)
    return list(adapters.circuits_of(empty, config))


def update_spectra(
    by_run: dict[Path, dict], labels: dict[Path, tuple[str, int]]
) -> Iterator[Figure]:
    """Of each label's first recorded run: one layer over training; of all labels: that layer's end, and ranks."""
    first: dict[str, dict] = {}
    for path, spectra in by_run.items():
        if spectra:
            first.setdefault(labels[path][0], spectra)
    if not first:
        return
    layer = _most_changed(first)
    at_layer = {label: spectra[layer] for label, spectra in first.items() if layer in spectra}
    for label, spectrum in at_layer.items():
        of = f"the update of {layer}, {label}"
        figure = spectrum_over_training(spectrum.steps, spectrum.values, of=of)
        yield _named(figure, f"spectrum_{label}", f"Singular values over training, {label}")
        if spectrum.bonds:
            figure = bond_history(spectrum.steps, spectrum.bonds, of=f"{layer}, {label}")
            yield _named(figure, f"bonds_{label}", f"Bonds over training, {label}")
    yield singular_values(
        {label: spectrum.values[-1] for label, spectrum in at_layer.items()},
        of=f"the update of {layer}",
    )
    ranks = {
        label: {
            name: spectrum.effective_rank
            for name, spectrum in spectra.items()
            if spectrum.effective_rank is not None
        }
        for label, spectra in first.items()
    }
    if any(ranks.values()):
        yield rank_by_layer({label: by_layer for label, by_layer in ranks.items() if by_layer})


def _most_changed(first: dict[str, dict]) -> str:
    """The layer with the largest singular value at the end, among those that most labels recorded."""
    ends = [
        (layer, spectrum.values[-1][0])
        for spectra in first.values()
        for layer, spectrum in spectra.items()
    ]
    counts = {layer: sum(name == layer for name, _ in ends) for layer, _ in ends}
    return max(ends, key=lambda end: (counts[end[0]], end[1]))[0]


def _named(figure: Figure, name: str, title: str) -> Figure:
    """The figure under a file name made of letters, digits and single underscores."""
    slug = "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
    return replace(figure, name="_".join(filter(None, slug.split("_"))), title=title)

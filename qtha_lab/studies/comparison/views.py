"""Views of runs: one figure function per view, for scripts and panels alike.

A function with the decorator `@view` adds a view. Draws figures; writes no file and starts no run.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import MEASURES, recorded, scores
from qtha_lab.core.settings import unknown
from qtha_lab.figures.best_of_trials import best_of_trials
from qtha_lab.figures.bond_history import bond_history
from qtha_lab.figures.circuit_history import circuit_history
from qtha_lab.figures.circuit_inputs import over_steps
from qtha_lab.figures.history import Line, run_history
from qtha_lab.figures.importance import setting_importance
from qtha_lab.figures.learning_rate import End, loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.parallel import parallel_coordinates
from qtha_lab.figures.scatter import RunPoint as Point
from qtha_lab.figures.scatter import run_scatter
from qtha_lab.figures.spectra_history import updates_side_by_side
from qtha_lab.runs.run import Run
from qtha_lab.studies.comparison import run_data as reading
from qtha_lab.studies.comparison.circuit_figures import has_circuit
from qtha_lab.studies.comparison.figure_names import drawn_seeds
from qtha_lab.studies.comparison.run_values import (
    RunValues,
    differing,
    run_values,
    short_labels,
)
from qtha_lab.studies.comparison.spectra_figures import noted
from qtha_lab.studies.comparison.trial_statistics import (
    budget,
    contenders,
    importance,
    trials_of,
)

ALONG = ("step", "seconds", "tokens")
OVER_TRAINING: dict[str, tuple[str, str]] = {
    "eval_loss": ("eval", "loss"),
    "train_loss": ("train", "loss"),
    "learning_rate": ("train", "learning_rate"),
    "grad_norm": ("train", "grad_norm"),
    "seconds_per_step": ("train", "seconds"),
    "memory": ("train", "memory_mib"),
    **{name: ("eval", name) for name in scores()},
}
"""What runs record over their training: the kind of event and its field."""


class RunSetValues(NamedTuple):
    """Runs of a view, with short labels and access to their events."""

    rows: list[RunValues]
    events: Callable[[RunValues], list[dict[str, Any]]]

    @property
    def labels(self) -> dict[str, str]:
        """Short labels by run id."""
        return short_labels(self.rows)


class View(NamedTuple):
    """View with its name, title and figure function."""

    name: str
    title: str
    make: Callable[..., Figure]

    @property
    def options(self) -> list[str]:
        """Names of the options of the view."""
        return list(inspect.signature(self.make).parameters)[1:]


VIEWS: dict[str, View] = {}


def view(title: str) -> Callable:
    """Register the decorated function as a view under its name."""

    def register(function: Callable[..., Figure]) -> Callable[..., Figure]:
        name = function.__name__
        VIEWS[name] = View(name, title, function)
        return function

    return register


def draw_view(name: str, sources: Iterable[str | Path | Run], **options: Any) -> Figure:
    """Draw a view of runs.

    Args:
        name: Name of the view, from `VIEWS`.
        sources: Ids, directories, folders of runs, or runs.
        options: Options of the view (`VIEWS[name].options`).

    Raises:
        Refusal: If the view is unknown or cannot draw these runs.

    Example:
        >>> draw_view("loss_by_rate", ["out/sweep"]).export("rate.pdf")  # doctest: +SKIP
    """
    if name not in VIEWS:
        raise unknown("view", name, VIEWS)
    return make(VIEWS[name], RunSetValues(run_values(sources), history), **options)


def history(row: RunValues) -> list[dict[str, Any]]:
    """Return the valid events of a run."""
    return row.run.valid_events()


def make(chosen: View, runs: RunSetValues, **options: Any) -> Figure:
    """Draw a view from loaded runs; refuse unknown options."""
    if not runs.rows:
        raise Refusal("Runs to draw must be at least one, got none. Tick some runs.")
    if wrong := [option for option in options if option not in chosen.options]:
        known = ", ".join(chosen.options) or "none"
        raise Refusal(f"Options of the view {chosen.name} must be {known}, got {', '.join(wrong)}.")
    return chosen.make(runs, **options)


def measures_of(rows: Sequence[RunValues]) -> list[str]:
    """Return the measures that some runs have, learning results first."""
    present = [name for name in MEASURES if any(name in row.measures for row in rows)]
    first = [
        name
        for name in ("eval_loss", *recorded("eval"), *recorded("generation"))
        if name in present
    ]
    return list(dict.fromkeys([*first, *present]))


@view("Curves")
def curves(
    runs: RunSetValues,
    x: str = "step",
    y: str = "eval_loss",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
    bands: bool = True,
) -> Figure:
    """Draw quantities recorded over training."""
    if y not in OVER_TRAINING:
        raise Refusal(f"y must be one of {', '.join(OVER_TRAINING)}, got {y}.")
    if x not in ALONG:
        raise Refusal(f"x must be one of {', '.join(ALONG)}, got {x}.")
    labels = runs.labels
    lines = [
        Line(label=labels[row.id], seed=row.seed, x=along, y=up)
        for row in runs.rows
        for along, up in [history_of(runs.events(row), x, y)]
    ]
    return run_history(lines, x, y, smoothing, log_x, log_y, bands)


def history_of(
    events: Iterable[Mapping[str, Any]], x: str, y: str
) -> tuple[list[float], list[float]]:
    """Return one recorded quantity of a run against steps, seconds or tokens.

    Args:
        events: Valid events of one run.
        x: "step", "seconds" (of training steps, without evaluations) or "tokens".
        y: Name of the quantity, from `OVER_TRAINING`.
    """
    kind, field = OVER_TRAINING[y]
    seconds, along, up, tokens = 0.0, [], [], None
    for event in sorted(events, key=lambda event: (event.get("step", 0), event["kind"] != "train")):
        if event["kind"] == "train":
            seconds += event.get("seconds") or 0.0
            tokens = event.get("tokens", tokens)
        if event["kind"] == kind and event.get(field) is not None:
            place = {
                "step": event["step"],
                "seconds": seconds,
                "tokens": tokens if event["step"] else 0,
            }[x]
            if place is not None:
                along.append(float(place))
                up.append(float(event[field]))
    return along, up


@view("Loss against learning rate")
def loss_by_rate(runs: RunSetValues, y: str = "eval_loss") -> Figure:
    """Draw each method's final measure against the learning rate."""
    names = short_labels(runs.rows, ["learning_rate"])
    ends = [
        End(
            label=names[row.id],
            seed=row.seed,
            learning_rate=row.settings["learning_rate"],
            value=row.measures.get(y),
        )
        for row in runs.rows
        if row.state == "diverged" or y in row.measures
    ]
    if not ends:
        raise Refusal("The loss against the learning rate must have an ended run, got none.")
    return loss_against_rate(ends, y)


@view("Parallel coordinates")
def parallel(
    runs: RunSetValues,
    axes: Sequence[str] = (),
    y: str = "eval_loss",
    brushed: Collection[str] = (),
) -> Figure:
    """Draw one line per run through its differing settings to its result."""
    names = list(axes) or differing(runs.rows)
    if not names:
        raise Refusal(
            "The runs must differ in a setting other than the seed, got none. There is no axis "
            "to draw."
        )
    if not any(y in row.measures for row in runs.rows):
        raise Refusal(f"A run must have ended with a value of {y}, got none.")
    return parallel_coordinates(_points(runs), names, y, brushed)


@view("Scatter")
def scatter(
    runs: RunSetValues,
    x: str = "trainable_parameters",
    y: str = "eval_loss",
    log_x: bool = False,
    log_y: bool = False,
    brushed: Collection[str] = (),
) -> Figure:
    """Draw two measures or settings, with the Pareto-optimal runs."""
    points = _points(runs)
    if not any(x in point["values"] and y in point["values"] for point in points):
        raise Refusal(f"A run must have both {x} and {y}, got none.")
    return run_scatter(points, x, y, log_x, log_y, brushed)


@view("Best against trials")
def best_of(runs: RunSetValues, y: str = "eval_loss") -> Figure:
    """Draw the expected best result of each method against the number of trials."""
    lower = MEASURES[y].better == "lower"
    budgets = {
        method: curve
        for method, rows in contenders(runs.rows).items()
        if (curve := budget([trial.value for trial in trials_of(rows, y)], lower))
    }
    if not budgets:
        raise Refusal(f"A trial must have ended with a value of {y}, got none.")
    return best_of_trials(budgets, y)


@view("Importance of settings")
def what_counts(runs: RunSetValues, y: str = "eval_loss") -> Figure:
    """Draw each setting's share of the variance of results, per method."""
    shares, counts, reasons = {}, {}, []
    for method, rows in _by_method(runs).items():
        trials, settings = trials_of(rows, y), differing(rows)
        if not settings:
            reasons.append(f"{method}: no setting was varied")
            continue
        try:
            shares[method], counts[method] = importance(trials, settings), len(trials)
        except Refusal as refused:
            reasons.append(f"{method}: {refused}")
    if not shares:
        raise Refusal("; ".join(reasons))
    return setting_importance(shares, counts, y)


@view("Spectra over training")
def spectra(runs: RunSetValues) -> Figure:
    """Draw the singular values of each run's linear path over training.

    The layer is the one with the largest final singular value.
    """
    by_run = {row.id: reading.spectra(runs.events(row)) for row in runs.rows}
    largest: dict[str, float] = {}
    for layers in by_run.values():
        for name, of in layers.items():
            largest[name] = max(of.values[-1][0], largest.get(name, 0.0))
    if not largest:
        raise Refusal("A run must have recorded spectra, got none. Set spectrum_every above 0.")
    layer = max(largest, key=lambda name: largest[name])
    labels = runs.labels
    histories = {
        f"{labels[row.id]} seed {row.seed}": (of.steps, of.values)
        for row in runs.rows
        if (of := by_run[row.id].get(layer))
    }
    return updates_side_by_side(histories, f"the linear path of {layer}")


@view("Bonds over training")
def bonds(runs: RunSetValues) -> Figure:
    """Draw the bond entropies of one layer over training.

    The run is the newest with recorded bonds; the layer has the highest final entropy.
    """
    for row in reversed(runs.rows):
        layers = [of for of in reading.spectra(runs.events(row)).values() if of.bonds]
        if layers:
            most = max(
                layers, key=lambda of: sum(value for b in of.bonds.values() for value in b[-1])
            )
            of = f"{most.layer}, {runs.labels[row.id]} seed {row.seed}"
            return bond_history(most.steps, most.bonds, of=of)
    raise Refusal(
        "A run must have recorded bonds, got none. Use a tensor network with spectrum_every"
        " above 0."
    )


@view("Circuits over training")
def circuits(runs: RunSetValues) -> Figure:
    """Draw circuit inputs and outputs by block, for one recorded run per method."""
    labels, histories, without = runs.labels, {}, {}
    seeds: dict[str, tuple[int, int]] = {}
    for row in runs.rows:
        events, label = runs.events(row), labels[row.id]
        if not has_circuit(row.run.experiment):
            without[label] = None
        elif history := over_steps(events):
            histories.setdefault(label, history)
            count = len({other.seed for other in runs.rows if labels[other.id] == label})
            seeds.setdefault(label, (row.seed, count))
        elif any(event["kind"] in ("eval", "train") for event in events):
            without[label] = None  # runs with a circuit record it before their first evaluation
    if not histories:
        names = ", ".join(without)
        why = (
            f"no circuit, or from before it was recorded: {names}" if names else "no run has begun"
        )
        raise Refusal(f"A run must have recorded circuit inputs, got none ({why}).")
    none = [label for label in without if label not in histories]
    return noted(circuit_history(histories, none), drawn_seeds(seeds))


def _points(runs: RunSetValues) -> list[Point]:
    labels = runs.labels
    return [Point(id=row.id, label=labels[row.id], values=row.values) for row in runs.rows]


def _by_method(runs: RunSetValues) -> dict[str, list[RunValues]]:
    methods = dict.fromkeys(row.method for row in runs.rows)
    return {method: [row for row in runs.rows if row.method == method] for method in methods}

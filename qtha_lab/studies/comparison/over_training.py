"""Findings on what runs record over training: losses and spectra.

Figures of spectra draw one seed of each method, and state which.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.metrics import scores
from qtha_lab.figures.bond_history import bond_history
from qtha_lab.figures.loss_curves import from_events, loss_curves
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.rank_by_layer import rank_by_layer
from qtha_lab.figures.run_history import Line, run_history
from qtha_lab.figures.spectra import spectra
from qtha_lab.figures.spectrum_over_training import spectrum_over_training
from qtha_lab.figures.updates_side_by_side import updates_side_by_side
from qtha_lab.studies.comparison import found_runs
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.finding import Finding, drawn_seeds, noted
from qtha_lab.studies.comparison.found_runs import SpectrumHistory

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
"""Quantities recorded over training: the kind of event and its field."""
PATH = "the linear path"
"""The part of an update that is a matrix: all of LoRA's, that beside the circuit of QTHA's."""
Seeds = Mapping[str, tuple[int, int]]  # drawn seed and number of seeds, by name


def losses(compared: Compared) -> Figure:
    """Draw training and evaluation losses over training, by method."""
    return loss_curves(
        series
        for row in compared.drawn.to_dict("records")
        for series in from_events(row["name"], row["seed"], compared.events_of(row))
    )


def curves(
    compared: Compared,
    x: str = "step",
    y: str = "eval_loss",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
    bands: bool = True,
) -> Figure:
    """Draw a quantity of `OVER_TRAINING` along one of `ALONG`; options as of `run_history`."""
    if y not in OVER_TRAINING:
        raise Refusal(f"y must be one of {', '.join(OVER_TRAINING)}, got {y}.")
    if x not in ALONG:
        raise Refusal(f"x must be one of {', '.join(ALONG)}, got {x}.")
    lines = [
        Line(label=compared.labels[run.id], seed=run.experiment.seed, x=along, y=up)
        for run in compared.oldest_first
        for along, up in [history_of(compared.events(run), x, y)]
    ]
    return run_history(lines, x, y, smoothing, log_x, log_y, bands)


def history_of(
    events: Iterable[Mapping[str, Any]], x: str, y: str
) -> tuple[list[float], list[float]]:
    """Return one recorded quantity of a run against steps, seconds or tokens."""
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


def spectra_at_steps(compared: Compared) -> Figure:
    """Draw the singular values of each run's linear path over training, at one layer."""
    by_run = {run.id: found_runs.spectra(compared.events(run)) for run in compared.oldest_first}
    if not any(by_run.values()):
        raise Refusal("A run must have recorded spectra, got none. Set spectrum_every above 0.")
    layer = _most_changed(by_run)
    histories = {
        f"{compared.labels[run.id]} seed {run.experiment.seed}": (of.steps, of.values)
        for run in compared.oldest_first
        if (of := by_run[run.id].get(layer))
    }
    return updates_side_by_side(histories, f"the linear path of {layer}")


def bonds(compared: Compared) -> Figure:
    """Draw the bond entropies of one layer over training.

    The run is the newest with recorded bonds; the layer has the highest final entropy.
    """
    for run in reversed(compared.oldest_first):
        recorded = found_runs.spectra(compared.events(run)).values()
        if layers := [of for of in recorded if of.bonds]:
            most = max(
                layers, key=lambda of: sum(value for b in of.bonds.values() for value in b[-1])
            )
            of = f"{most.layer}, {compared.labels[run.id]} seed {run.experiment.seed}"
            return bond_history(most.steps, most.bonds, of=of)
    raise Refusal(
        "A run must have recorded bonds, got none. Use a tensor network with spectrum_every"
        " above 0."
    )


def update_spectra(compared: Compared) -> Finding:
    """Draw one layer over training per method, then final spectra and ranks."""
    found = compared.first_recorded(found_runs.spectra)
    recorded = {name: of.value for name, of in found.items()}
    seeds = {name: of.seed for name, of in found.items()}
    return Finding(figures=[*_spectra_figures(recorded, seeds)] if recorded else [])


def _spectra_figures(
    recorded: Mapping[str, Mapping[str, SpectrumHistory]], seeds: Seeds
) -> Iterator[Figure]:
    layer = _most_changed(recorded)
    at_layer = {name: of[layer] for name, of in recorded.items() if layer in of}
    for name, spectrum in at_layer.items():
        seed, count = seeds[name]
        of = f"{layer}, {name}" + (f", seed {seed} of {count} seeds" if count > 1 else "")
        figure = spectrum_over_training(spectrum.steps, spectrum.values, of=f"{PATH} of {of}")
        title = f"Singular values over training, {name}"
        yield replace(figure, name=f"spectrum_{name}", title=title)
        if spectrum.bonds:
            figure = bond_history(spectrum.steps, spectrum.bonds, of=of)
            yield replace(figure, name=f"bonds_{name}", title=f"Bonds over training, {name}")
    ends = {name: spectrum.values[-1] for name, spectrum in at_layer.items()}
    note = drawn_seeds({name: seeds[name] for name in ends})
    yield noted(spectra(ends, of=f"{PATH} of {layer}"), note)
    ranks = {
        name: {layer: s.effective_rank for layer, s in of.items() if s.effective_rank is not None}
        for name, of in recorded.items()
    }
    if ranks := {name: by_layer for name, by_layer in ranks.items() if by_layer}:
        note = drawn_seeds({name: seeds[name] for name in ranks})
        yield noted(rank_by_layer(ranks, of=PATH), note)


def _most_changed(recorded: Mapping[str, Mapping[str, SpectrumHistory]]) -> str:
    """Return the layer with the largest final singular value.

    Only layers that most runs or methods recorded are candidates.
    """
    ends = [
        (layer, spectrum.values[-1][0])
        for by_layer in recorded.values()
        for layer, spectrum in by_layer.items()
    ]
    counts = Counter(layer for layer, _ in ends)
    return max(ends, key=lambda end: (counts[end[0]], end[1]))[0]

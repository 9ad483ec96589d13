"""Figures of recorded spectra: singular values, bonds and ranks of linear paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from qtha_lab.figures.bond_history import bond_history
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.figures.rank_views import rank_by_layer
from qtha_lab.figures.spectra import singular_values, spectrum_over_training
from qtha_lab.studies.comparison.figure_names import drawn_seeds
from qtha_lab.studies.comparison.run_data import SpectrumHistory

PATH = "the linear path"
"""The part of an update that is a matrix: all of LoRA's, that beside the circuit of QTHA's."""


def update_spectra(
    spectra: Mapping[str, Mapping[str, SpectrumHistory]], seeds: Mapping[str, tuple[int, int]]
) -> Iterator[Figure]:
    """Draw one layer over training per method, then final spectra and ranks.

    Args:
        spectra: Spectra of one run per method, by method label and layer.
        seeds: Seed of that run and number of seeds, by method label.
    """
    layer = _most_changed(spectra)
    at_layer = {label: of[layer] for label, of in spectra.items() if layer in of}
    for label, spectrum in at_layer.items():
        seed, count = seeds[label]
        of = f"{layer}, {label}" + (f", seed {seed} of {count} seeds" if count > 1 else "")
        figure = spectrum_over_training(spectrum.steps, spectrum.values, of=f"{PATH} of {of}")
        yield replace(
            figure, name=f"spectrum_{label}", title=f"Singular values over training, {label}"
        )
        if spectrum.bonds:
            figure = bond_history(spectrum.steps, spectrum.bonds, of=of)
            yield replace(figure, name=f"bonds_{label}", title=f"Bonds over training, {label}")
    ends = {label: spectrum.values[-1] for label, spectrum in at_layer.items()}
    note = drawn_seeds({label: seeds[label] for label in ends})
    yield noted(singular_values(ends, of=f"{PATH} of {layer}"), note)
    ranks = {
        label: {name: s.effective_rank for name, s in of.items() if s.effective_rank is not None}
        for label, of in spectra.items()
    }
    if ranks := {label: by_layer for label, by_layer in ranks.items() if by_layer}:
        note = drawn_seeds({label: seeds[label] for label in ranks})
        yield noted(rank_by_layer(ranks, of=PATH), note)


def noted(figure: Figure, sentence: str) -> Figure:
    """Add a sentence to the caption of a figure."""
    return replace(figure, caption=f"{figure.caption} {sentence}") if sentence else figure


def _most_changed(spectra: Mapping[str, Mapping[str, SpectrumHistory]]) -> str:
    """Return the layer with the largest final singular value.

    Only layers that most methods recorded are candidates.
    """
    ends = [
        (layer, spectrum.values[-1][0])
        for by_layer in spectra.values()
        for layer, spectrum in by_layer.items()
    ]
    counts = {layer: sum(name == layer for name, _ in ends) for layer, _ in ends}
    return max(ends, key=lambda end: (counts[end[0]], end[1]))[0]

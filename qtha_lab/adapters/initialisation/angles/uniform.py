"""Angles uniform in ±π: nothing is known, and everything is as likely."""

import torch

from qtha_lab.adapters.initialisation.angles.registry import Place, Start, start


@start(
    "uniform",
    summary="Uniform in ±π, as drawn with the seed.",
    source="the authors' code of QTHA, QPA and Quantum-PEFT",
)
class Uniform(Start):
    """As drawn."""

    def angles(self, place: Place, uniform):
        return torch.zeros(place.circuit.n_params) if uniform is None else uniform

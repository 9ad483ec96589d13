"""Initial angles uniform in ±π."""

import torch

from qtha_lab.adapters.initialisation.angles.registry import Place, Start, start


@start(
    "uniform",
    summary="Uniform in ±π, as drawn with the seed.",
    source="the authors' code of QTHA, QPA and Quantum-PEFT",
)
class Uniform(Start):
    """Initialisation by the uniform draws themselves."""

    def angles(self, place: Place, uniform):
        return torch.zeros(place.circuit.n_params) if uniform is None else uniform

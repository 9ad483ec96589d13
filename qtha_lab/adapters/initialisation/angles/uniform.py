"""Initial angles uniform in ±π."""

import torch

from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)


@angle_initialisation(
    "uniform",
    summary="Uniform in ±π, as drawn with the seed.",
    source="the authors' code of QTHA, QPA and Quantum-PEFT",
)
class Uniform(AngleInitialisation):
    """Initialisation by the uniform draws themselves."""

    def angles(self, place: AnglePosition, uniform):
        return torch.zeros(place.circuit.n_params) if uniform is None else uniform

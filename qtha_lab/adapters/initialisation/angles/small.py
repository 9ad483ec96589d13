"""Initial angles from N(0, 0.1²), near the identity.

Gradients then do not vanish with the size of the circuit.
"""

import math

import torch
from torch import Tensor

from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)

SPREAD = 0.1  # radians


@angle_initialisation(
    "small",
    summary="Normal with a standard deviation of 0.1: near the identity.",
    source="Zhang et al. 2022, arXiv:2203.09376; 0.1 is ours [R]",
)
class Small(AngleInitialisation):
    """Initialisation by normal angles, transformed from the uniform draws.

    So no further random numbers are drawn.
    """

    def angles(self, place: AnglePosition, uniform):
        if uniform is None:
            return torch.zeros(place.circuit.n_params)
        return SPREAD * normal(uniform.double()).to(uniform.dtype)


def normal(uniform: Tensor) -> Tensor:
    """Transform numbers uniform in ±π to standard normal numbers.

    The two ends map to 8 standard deviations.

    Example:
        >>> normal(torch.tensor([0.0, math.pi * 0.6826895]))
        tensor([0.0000, 1.0000])
    """
    edge = 1 - 1e-15
    return math.sqrt(2) * torch.erfinv((uniform / math.pi).clamp(-edge, edge))

"""An initialisation of angles in one file: uniform in ±π/8 in place of ±π.

qtha-lab compare --plugins examples/eighths.py --methods "qtha(r=4),qtha(r=4,angles=eighths)" \
    --steps 60
"""

import torch

from qtha_lab.plugins import AngleInitialisation, angle_initialisation


@angle_initialisation(
    "eighths", summary="Uniform in ±π/8: near the identity.", source="an example of this project"
)
class Eighths(AngleInitialisation):
    """Initialisation that divides the uniform draws by 8."""

    def angles(self, place, uniform):
        """Return one angle per parameter of the circuit; `uniform` is None for a check only."""
        if uniform is None:
            return torch.zeros(place.circuit.n_params)
        return uniform / 8

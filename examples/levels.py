"""A quantisation scheme in one file: every row of a weight on a grid of equally spaced points.

qtha-lab compare --plugins examples/levels.py --quantization "levels(points=8)" \
    --methods "lora(r=4)" --steps 20
"""

import dataclasses

from qtha_lab.plugins import Rounding, bits, matrix_of, rounded_layers, set_matrix, setting


@bits(
    "levels",
    summary="Rounds every weight to the nearest of equally spaced points of its row.",
    source="an example of this project",
)
@dataclasses.dataclass(frozen=True)
class Levels(Rounding):
    """Settings of the scheme."""

    points: int = setting(16, "Points of a row, from its smallest to its largest weight.", ge=3)

    def apply(self, model, learnt):
        """Round the layers between embeddings and head, in place."""
        for layer in rounded_layers(model).values():
            matrix = matrix_of(layer)
            low, high = matrix.amin(1, keepdim=True), matrix.amax(1, keepdim=True)
            step = (high - low).clamp_min(1e-30) / (self.points - 1)
            set_matrix(layer, low + step * ((matrix - low) / step).round())

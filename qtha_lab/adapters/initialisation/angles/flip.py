"""Initial angles from a model that was trained on smaller circuits.

The model applies to any size, number of layers and ansatz of the same gates.
"""

from functools import cached_property

from qtha_lab.adapters.initialisation.angles.pretraining import AngleModel
from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)
from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import as_path


@angle_initialisation(
    "flip(FILE)",
    summary="Angles of a model trained on small circuits; `qtha-lab init learn` writes the file.",
    source="FLIP, arXiv:2103.08572; network and meta-training are ours [R]",
)
class Learnt(AngleInitialisation):
    """Initialisation by a trained model, from kind, layer, wires and position of each angle."""

    is_resolved = True

    @cached_property
    def _model(self) -> AngleModel:
        return AngleModel.load(as_path(self.argument))

    def angles(self, place: AnglePosition, uniform):
        try:
            return self._model.angles(place.circuit)
        except Refusal as reason:
            raise Refusal(f"angles=flip({self.argument}): {reason}") from None

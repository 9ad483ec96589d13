"""Initial angles from a finished run, layer by layer."""

from functools import cached_property

from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)
from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.core.errors import Refusal


@angle_initialisation(
    "run(RUN)",
    summary="The trained angles of a run, at the layers of the same names.",
    source="ours [R]",
)
class OfRun(AngleInitialisation):
    """Initialisation by the saved angles of a run; other tensors are unaffected."""

    is_resolved = True

    @cached_property
    def _saved(self) -> SavedAdapter:
        return SavedAdapter.of(self.argument)

    def angles(self, place: AnglePosition, uniform):
        tensors = self._saved.at(place.layer)
        if place.tensor not in tensors:
            raise Refusal(
                f"angles=run(RUN) must name a run with a circuit at {place.layer}, got "
                f"{self.argument!r}."
            )
        angles, end = tensors[place.tensor].flatten(), place.first + place.circuit.n_params
        if len(angles) < end or (place.first == 0 and len(angles) % place.circuit.n_params):
            raise Refusal(
                f"angles=run(RUN) must name a run with {place.circuit.n_params} angles at "
                f"{place.layer}, got {self.argument!r} with {len(angles)}. Choose a run of the "
                "same ansatz, qubits and layers."
            )
        return angles[place.first : end]

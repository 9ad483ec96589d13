"""Initial angles from a finished run, layer by layer."""

from functools import cached_property

from qtha_lab.adapters.initialisation.angles.registry import Place, Start, start
from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.core.errors import Refusal


@start(
    "run(RUN)",
    summary="The trained angles of a run, at the layers of the same names.",
    source="ours [R]: what a distilled or staged start hands over",
)
class OfRun(Start):
    """Initialisation by the saved angles of a run; other tensors are unaffected."""

    is_resolved = True

    @cached_property
    def _saved(self) -> SavedAdapter:
        return SavedAdapter.of(self.argument)

    def angles(self, place: Place, uniform):
        tensors = self._saved.at(place.layer)
        if place.tensor not in tensors:
            raise Refusal(
                f"run {self.argument!r} has no angles at {place.layer}: it ran no circuit"
            )
        angles, end = tensors[place.tensor].flatten(), place.first + place.circuit.n_params
        if len(angles) < end or (place.first == 0 and len(angles) % place.circuit.n_params):
            raise Refusal(
                f"run {self.argument!r} holds {len(angles)} angles at {place.layer}, and the circuit "
                f"there has {place.circuit.n_params}: take one of the same ansatz, qubits and layers"
            )
        return angles[place.first : end]

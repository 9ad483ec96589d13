"""Initial angles that prepare the matrix product state of a run.

The run has `generator=mps`, whose state gives the probabilities that weights are generated from.
The run's other tensors are copied too, since its state depends on them. So the initial change of
weight equals that of the run, up to the infidelity of the gates.
"""

from functools import cached_property

import torch

from qtha_lab.adapters.initialisation.angles import mps_to_gates
from qtha_lab.adapters.initialisation.angles.mps_to_gates import decompose
from qtha_lab.adapters.initialisation.angles.registry import (
    AngleInitialisation,
    AnglePosition,
    angle_initialisation,
)
from qtha_lab.adapters.initialisation.angles.saved_tensors import SavedAdapter
from qtha_lab.adapters.initialisation.angles.small import normal
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

NEAR_IDENTITY = 0.01  # radians, for surplus layers


@angle_initialisation(
    "mps(RUN)",
    summary="Gates that prepare the matrix product state of a run with generator=mps.",
    source="synergistic pretraining, arXiv:2208.13673; gates by arXiv:2209.00595; use in a weight "
    "generator and 0.01 radians of further layers are ours [R]",
)
class PreparesMps(AngleInitialisation):
    """Initialisation by gates of the state; surplus layers are near the identity."""

    is_resolved = True

    @cached_property
    def _saved(self) -> SavedAdapter:
        saved = SavedAdapter.of(self.argument)
        if saved.config.get("generator") != "mps":
            raise Refusal(
                f"angles=mps(RUN) must name a run with generator=mps, got {self.argument!r} with "
                f"generator={saved.config.get('generator', 'none')}."
            )
        return saved

    @cached_property
    def _bond_dim(self) -> int:
        bond_dim = self._saved.config.get("mps_bond", 2)
        if not isinstance(bond_dim, int) or not 1 <= bond_dim <= 256:
            raise Refusal(
                "angles=mps(RUN) must name a run with mps_bond from 1 to 256, got "
                f"{shortened(repr(bond_dim), 40)}. Choose another run."
            )
        return bond_dim

    def check_circuit(self, circuit: Circuit) -> None:
        if circuit.n_inputs:
            raise Refusal(
                "angles=mps(RUN) must be used with a circuit without inputs, got one with "
                f"{circuit.n_inputs}. Train a teacher (teacher=RUN) and use angles=run(RUN)."
            )
        n, per_layer = circuit.n_qubits, 15 * (circuit.n_qubits - 1)
        n_layers = circuit.n_params // per_layer if per_layer else 0
        if not n_layers or circuit != ansatze.build_without_inputs("su4", n, n_layers):
            raise Refusal("ansatz must be su4 beside angles=mps(RUN), got another circuit.")

    def check(self, place: AnglePosition) -> None:
        self._numbers(place)

    def _numbers(self, place: AnglePosition) -> torch.Tensor:
        numbers = self._saved.at(place.layer).get(place.tensor, torch.empty(0)).flatten()
        n = place.circuit.n_qubits
        if place.first or len(numbers) != mps_to_gates.n_numbers(n, self._bond_dim):
            raise Refusal(
                f"angles=mps(RUN) must name a run with a state of {n} qubits at {place.layer}, got "
                f"{self.argument!r}. Choose a run of the same chunk and of one block."
            )
        return numbers

    def angles(self, place: AnglePosition, uniform):
        numbers = self._numbers(place).double()
        state = mps_to_gates.amplitudes(numbers, place.circuit.n_qubits, self._bond_dim)
        n_layers = place.circuit.n_params // (15 * (place.circuit.n_qubits - 1))
        prepared = torch.from_numpy(decompose(state.numpy(), n_layers).angles)
        angles = torch.zeros(place.circuit.n_params, dtype=torch.float64)
        if uniform is not None:
            angles = NEAR_IDENTITY * normal(uniform.double())
        angles[: len(prepared)] = prepared
        return angles

    def beside(self, layer: str):
        tensors = self._saved.at(layer)
        return {name: tensor for name, tensor in tensors.items() if name != "params"}

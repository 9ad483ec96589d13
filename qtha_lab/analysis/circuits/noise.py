"""Effect of device noise on ⟨Z⟩."""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.analysis.circuits.random_angles import Inputs, draw_angles, free_angles
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z


@dataclasses.dataclass(frozen=True)
class GateNoise:
    """Expectations ⟨Z⟩ at random angles without and with noise, (samples, n_qubits).

    Does not show routing on a chip, crosstalk, drift, or the gain of error mitigation. A linear map
    after the circuit can learn a common factor; it cannot remove `scatter`.

    Attributes:
        noise: Noise options of the device.
    """

    exact: Float[np.ndarray, "samples n_qubits"]
    noisy: Float[np.ndarray, "samples n_qubits"]
    noise: str

    @property
    def gradients(self) -> Float[np.ndarray, " n_qubits"]:
        """Slopes of the linear fit from exact to noisy ⟨Z⟩ per qubit; nan if constant."""
        x, y = self.exact - self.exact.mean(0), self.noisy - self.noisy.mean(0)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (x * y).sum(0) / (x**2).sum(0)

    @property
    def offsets(self) -> Float[np.ndarray, " n_qubits"]:
        """Intercepts of the linear fit; not 0 where 1 is misread more often than 0."""
        return self.noisy.mean(0) - self.gradients * self.exact.mean(0)

    @property
    def scatter(self) -> Float[np.ndarray, " n_qubits"]:
        """Root mean square deviation from the linear fit."""
        rest = self.noisy - self.offsets - self.gradients * self.exact
        return np.sqrt((rest**2).mean(0))


def gate_noise(
    circuit: Circuit,
    noise: str = "noise=wukong",
    n_samples: int = 20,
    inputs: Inputs = "uniform",
    seed: int = 0,
    device: str = "default.mixed",
) -> GateNoise:
    """Run a circuit at random angles without and with noise.

    Args:
        circuit: Circuit to run; it must start in |0…0⟩.
        noise: Device options as in its name: a preset, "noise=wukong", or numbers, as in
            "depolarizing_2q=0.02,readout_0to1=0.01".
        n_samples: Number of draws of the trainable angles, uniform in ±π.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws.
        device: A PennyLane device that simulates noise.

    Raises:
        Refusal: If the device or the noise is unknown, or the data are amplitudes.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> rotation = Circuit(1, [Gate("RY", 0, Angle.param(0))])
        >>> noise = "depolarizing_1q=0.1"  # 1 - 0.1 of ⟨Z⟩ is left
        >>> gate_noise(rotation, noise, 5).gradients.round(6)
        array([0.9])

    Source:
        The preset's numbers are in `qtha_lab.simulators.device.options`.
    """
    if circuit.start == "amplitudes":
        raise Refusal(
            "A circuit with noise must start in |0…0⟩, got one that starts in amplitudes."
        )
    free = free_angles(circuit)
    angles = draw_angles(circuit, n_samples, inputs, seed)
    data = torch.cat([angles.inputs, angles.params], 1)[:, : free.n_inputs]
    nothing = data.new_zeros(0)
    engine = f"device:{device}({noise},shots=none)"
    noisy = expval_z(free, data, nothing, engine).numpy()
    return GateNoise(expval_z(free, data, nothing, "torch").numpy(), noisy, noise)

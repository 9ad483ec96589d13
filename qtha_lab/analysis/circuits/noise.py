"""Effects of a finite number of shots and of device noise on ⟨Z⟩."""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.analysis.circuits.gate_gradients import Numbers, one_sample
from qtha_lab.analysis.circuits.random_angles import Inputs, check_samples, draw_angles, free_angles
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval_z


@dataclasses.dataclass(frozen=True)
class ShotNoise:
    """Expectation ⟨Z⟩ of every wire, exact and sampled, at one point.

    Excludes noise of gates and read-out. Does not cover gradients, which by parameter shift need
    two circuits per angle, each with an error.

    Attributes:
        exact: Exact ⟨Z⟩, (n_qubits,); `means` and `deviations` are over the repeats.
        law: Theoretical standard deviation √((1 - ⟨Z⟩²) / shots).
    """

    exact: Float[np.ndarray, " n_qubits"]
    means: Float[np.ndarray, " n_qubits"]
    deviations: Float[np.ndarray, " n_qubits"]
    shots: int
    repeats: int

    @property
    def law(self) -> Float[np.ndarray, " n_qubits"]:
        """Theoretical standard deviations of ⟨Z⟩ per qubit, √((1 - z²)/shots)."""
        return np.sqrt(np.clip(1 - self.exact**2, 0, None) / self.shots)

    def shots_for(self, error: float) -> int:
        """Return the shots for which the least certain ⟨Z⟩ has the given standard error.

        Raises:
            Refusal: If the error is not above 0.

        Example:
            >>> here = ShotNoise(np.zeros(1), np.zeros(1), np.zeros(1), shots=100, repeats=2)
            >>> here.shots_for(0.01)  # (1 - 0)/0.01²
            10000
        """
        if error <= 0:
            raise Refusal(f"The error must be above 0, got {error}.")
        return max(1, int(np.ceil((1 - (self.exact**2).min()) / error**2 - 1e-9)))


def shot_noise(
    circuit: Circuit,
    inputs: Numbers,
    params: Numbers,
    shots: int = 1000,
    repeats: int = 50,
    seed: int = 0,
    device: str = "default.qubit",
) -> ShotNoise:
    """Measure a circuit repeatedly with shots.

    Args:
        circuit: Circuit to run.
        inputs: One sample, (n_inputs,).
        params: Trainable angles, (n_params,).
        shots: Number of shots per repeat.
        repeats: Number of independent measurements of all qubits.
        seed: Seed of the device.
        device: PennyLane device with shots and a seed.

    Raises:
        Refusal: If the numbers do not fit, or the device cannot sample.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> coin = shot_noise(Circuit(1, [Gate("H", 0)]), [], [], shots=100, repeats=20)
        >>> coin.law
        array([0.1])

    Source:
        The variance of a mean of ±1 with expectation z is (1 - z²)/shots.
    """
    check_samples(repeats, least=2)
    x = one_sample("inputs", inputs, circuit.n_inputs)
    p = one_sample("params", params, circuit.n_params)
    engine = f"device:{device}(shots={shots},seed={seed},cache=false)"
    measured = expval_z(circuit, x.repeat(repeats, 1), p, engine).numpy()
    return ShotNoise(
        exact=expval_z(circuit, x, p, "torch").numpy(),
        means=measured.mean(0),
        deviations=measured.std(0, ddof=1),
        shots=shots,
        repeats=repeats,
    )


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

    @property
    def deviation(self) -> float:
        """Root mean square of noisy minus exact values."""
        return float(np.sqrt(((self.noisy - self.exact) ** 2).mean()))


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
    engine = f"device:{device}({noise},shots=none,cache=false)"
    noisy = expval_z(free, data, nothing, engine).numpy()
    return GateNoise(expval_z(free, data, nothing, "torch").numpy(), noisy, noise)

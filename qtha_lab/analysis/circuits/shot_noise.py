"""Shot noise: variation of ⟨Z⟩ with a finite number of shots.

Runs a sampling device repeatedly and compares its spread with the binomial law. `gate_noise` covers
gate noise.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from qtha_lab.analysis.circuits.gate_gradients import Numbers, one_sample
from qtha_lab.analysis.circuits.random_angles import check_samples
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

"""Fourier spectrum of a circuit's read-outs as functions of one input.

    ⟨Z⟩(x) = Σ_ω c_ω exp(iωx)

exactly, by a discrete Fourier transform over one period. The gates that read the input determine
the possible frequencies, and the trainable angles their magnitudes.
"""

import dataclasses
import fractions
import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Complex, Float

from qtha_lab.analysis.circuits.entanglement import standard_error
from qtha_lab.analysis.circuits.random_angles import (
    Inputs,
    RandomAngles,
    check_samples,
    draw_angles,
    free_angles,
)
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval

FINEST = 64  # scales of inputs are converted to fractions with at most this denominator


@dataclasses.dataclass(frozen=True)
class FourierSpectrum:
    """Fourier coefficients of every read-out at every draw of the trainable angles.

    Coefficients at negative frequencies are the conjugates. Does not show which functions can be
    fitted: coefficients depend jointly on the few trainable angles, and a present frequency may be
    tiny.

    Attributes:
        frequencies: Frequencies that the gates allow, from 0, in radians per radian.
        coefficients: c_ω, (samples, observables, frequencies).
    """

    frequencies: Float[np.ndarray, " frequencies"]
    coefficients: Complex[np.ndarray, "samples observables frequencies"]
    observables: tuple[str, ...]

    @property
    def magnitudes(self) -> Float[np.ndarray, "observables frequencies"]:
        """Mean of |c_ω| over the draws."""
        return np.abs(self.coefficients).mean(0)

    @property
    def errors(self) -> Float[np.ndarray, "observables frequencies"]:
        """Standard errors of `magnitudes`; nan for a single draw."""
        if len(self.coefficients) < 2:
            return np.full(self.coefficients.shape[1:], np.nan)
        return standard_error(np.abs(self.coefficients))

    def highest(self, threshold: float = 1e-6) -> float:
        """Return the highest frequency above the threshold in any draw; 0 if none."""
        present = (np.abs(self.coefficients) > threshold).any((0, 1))
        return float(self.frequencies[present].max(initial=0.0))


def fourier_spectrum(
    circuit: Circuit,
    along: int | Sequence[int] = 0,
    observables: Sequence[str] | None = None,
    n_samples: int = 100,
    inputs: Inputs = "zeros",
    params: Sequence[float] | torch.Tensor | None = None,
    seed: int = 0,
    engine: str = "auto",
) -> FourierSpectrum:
    """Compute the Fourier coefficients of read-outs over one input.

    Trainable angles are uniform in ±π, or given.

    Args:
        circuit: Circuit to run; its data must be angles.
        along: Index of the input, or indices of several inputs that all equal x.
        observables: Pauli strings; None measures Z of every qubit.
        n_samples: Number of draws of the trainable angles.
        inputs: All other inputs: "zeros", "uniform" or one sample (see `draw_angles`).
        params: Trainable angles, (n_params,), instead of draws.
        seed: Seed of the draws.
        engine: Engine (see `expval_z`).

    Raises:
        Refusal: If the data are amplitudes, there is no such input, or its scales
            have no common unit.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> spectrum = fourier_spectrum(build("product", 1, 3), n_samples=5)  # RY(x), three times
        >>> spectrum.frequencies, spectrum.highest()
        (array([0., 1., 2., 3.]), 3.0)

    Source:
        Schuld, Sweke and Meyer 2021, arXiv:2008.08605.
    """
    axes = [along] if isinstance(along, int) else list(along)
    frequencies, unit = allowed_frequencies(circuit, axes)
    read = tuple(observables or (f"Z{wire}" for wire in range(circuit.n_qubits)))
    if params is not None:
        n_samples = 1
    check_samples(n_samples)
    angles = draw_angles(circuit, n_samples, inputs, seed)
    if params is not None:
        angles = RandomAngles(angles.inputs, _one_sample(circuit, params))
    n_points = 2 * len(frequencies) - 1
    points = 2 * math.pi / unit * torch.arange(n_points, dtype=torch.float64) / n_points
    data = angles.inputs.unsqueeze(1).repeat(1, n_points, 1)
    data[:, :, axes] = points.reshape(-1, 1)
    shared = angles.params.unsqueeze(1).expand(-1, n_points, -1)
    free = free_angles(circuit)
    together = torch.cat([data, shared], -1)[..., : free.n_inputs]
    values = expval(free, read, together, together.new_zeros(0), engine)
    transformed = np.fft.fft(values.numpy(), axis=1)[:, : len(frequencies)] / n_points
    return FourierSpectrum(frequencies, transformed.swapaxes(1, 2), read)


def allowed_frequencies(
    circuit: Circuit, along: Sequence[int] = (0,)
) -> tuple[Float[np.ndarray, " frequencies"], float]:
    """Return the unit and its multiples up to the sum of all factors.

    A rotation exp(-i s x P/2) adds a frequency of at most |s|. For a controlled rotation the two
    halves count, so that CRZ(x) allows 1/2 and 1. The result is an upper bound: cancellations
    between gates are not considered.

    Raises:
        Refusal: If the data are amplitudes, an input is missing, or a factor is no fraction with
            a denominator of at most `FINEST`.

    Example:
        >>> from qtha_lab.circuits import Angle, Gate
        >>> allowed_frequencies(Circuit(2, [Gate("CRZ", (0, 1), Angle.input(0))]))
        (array([0. , 0.5, 1. ]), 0.5)
    """
    if circuit.start == "amplitudes":
        raise Refusal("The data must be angles for a Fourier spectrum, got amplitudes.")
    if any(angle.is_product for gate in circuit.gates for angle in gate.angles):
        raise Refusal(
            "Each angle must be affine in one input for a Fourier spectrum, got a product."
        )
    if not along or any(not 0 <= index < circuit.n_inputs for index in along):
        raise Refusal(
            f"along must name some of the circuit's {circuit.n_inputs} inputs, got {list(along)}."
        )
    scales = [
        abs(angle.scale)
        for gate in circuit.gates
        for _, _, angle in gate.parts()
        if angle is not None and angle.source == "input" and angle.index in along and angle.scale
    ]
    exact = [fractions.Fraction(scale).limit_denominator(FINEST) for scale in scales]
    if any(abs(float(e) - s) > 1e-9 for e, s in zip(exact, scales, strict=True)):
        raise Refusal(
            f"Factors of a datum must be fractions with a denominator of at most {FINEST}, got "
            f"{scales}."
        )
    if not exact:
        return np.zeros(1), 1.0
    common = math.lcm(*(e.denominator for e in exact))
    unit = fractions.Fraction(math.gcd(*(int(e * common) for e in exact)), common)
    return float(unit) * np.arange(int(sum(exact) / unit) + 1), float(unit)


def _one_sample(circuit: Circuit, params) -> torch.Tensor:
    sample = torch.as_tensor(params, dtype=torch.float64).detach()
    if sample.shape != (circuit.n_params,):
        raise Refusal(f"params must have shape ({circuit.n_params},), got {tuple(sample.shape)}.")
    return sample.reshape(1, -1)

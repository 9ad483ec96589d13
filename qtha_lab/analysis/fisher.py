"""Fisher information of a circuit's output, its spectrum, and the effective dimension.

    F(θ) = mean over data x of Σ_y ∂p ∂pᵀ / p,   p = p(y | x, θ) of every bit string y

or the quantum one, 4 Re(⟨∂ψ|∂ψ⟩ - ⟨∂ψ|ψ⟩⟨ψ|∂ψ⟩), which no measurement can exceed. Trains nothing.
"""

import dataclasses
import math
import warnings

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from qtha_lab.analysis.random_angles import (
    Inputs,
    RandomAngles,
    check_samples,
    draw_angles,
    states_at,
)
from qtha_lab.circuits import Circuit
from qtha_lab.errors import Refusal

KINDS = ("classical", "quantum")
NEVER = 1e-12  # an outcome this rare has no slope that can be told
TANGENTS_AT_ONCE = 2**24  # complex numbers of slopes that are held


@dataclasses.dataclass(frozen=True)
class FisherSpectrum:
    """Fisher matrices at random trainable angles, and their eigenvalues.

    Does not show the task: the labels do not enter. An eigenvalue near zero is a direction that
    changes nothing at first order, harmless if the parameter is redundant.

    Attributes:
        matrices: (samples, n_params, n_params).
        eigenvalues: Of each, largest first.
        n_data: Samples of data each is averaged over.
    """

    matrices: Float[np.ndarray, "samples n_params n_params"]
    eigenvalues: Float[np.ndarray, "samples n_params"]
    kind: str
    n_data: int

    @property
    def ranks(self) -> Float[np.ndarray, " samples"]:
        """Eigenvalues above 1e-9 of the largest, at each draw."""
        largest = self.eigenvalues[:, :1]
        return ((self.eigenvalues > 1e-9 * largest) & (largest > 0)).sum(1)

    def effective_dimension(self, n_samples: int, gamma: float = 1.0) -> tuple[float, float]:
        """How many parameters a data set of that size can tell apart, and the standard error.

            2 ln( mean √det(1 + κ F̂) ) / ln κ,  κ = γ n / (2π ln n),  F̂ = d F / mean Tr F

        The mean over draws is of numbers of very different size, so its error is only indicative
        for many parameters. Does not show generalisation: the bound that uses it assumes more.

        Args:
            n_samples: n, the size of the data set.
            gamma: γ, in (0, 1].

        Raises:
            ValueError: If κ is not above 1, or nothing depends on the parameters.

        Source:
            Abbas et al. 2021, arXiv:2011.00027.
        """
        if not 0 < gamma <= 1:
            raise Refusal(f"gamma must be above 0 and at most 1, not {gamma}")
        kappa = gamma * n_samples / (2 * math.pi * math.log(n_samples)) if n_samples > 1 else 0.0
        if kappa <= 1:
            raise Refusal(
                f"the effective dimension needs γn/(2π ln n) above 1, not {kappa:.3g} "
                f"for n_samples={n_samples}"
            )
        trace = self.eigenvalues.sum(1).mean()
        if trace <= 0:
            raise Refusal("the effective dimension needs an output that depends on parameters")
        scaled = self.eigenvalues * (self.eigenvalues.shape[1] / trace)
        halves = 0.5 * np.log1p(kappa * scaled).sum(1)
        weights = np.exp(halves - halves.max())
        mean = weights.mean()
        spread = weights.std(ddof=1) if len(weights) > 1 else math.nan
        error = 2 * spread / (mean * math.sqrt(len(weights)) * math.log(kappa))
        return float(2 * (halves.max() + math.log(mean)) / math.log(kappa)), float(error)


def fisher_spectrum(
    circuit: Circuit,
    n_samples: int = 50,
    n_data: int = 1,
    inputs: Inputs = "zeros",
    kind: str = "classical",
    seed: int = 0,
) -> FisherSpectrum:
    """Fisher matrices at trainable angles drawn uniformly in ±π.

    Args:
        circuit: What to run; every qubit is measured.
        n_samples: Draws of the trainable angles.
        n_data: Data a draw; more than one only makes sense with inputs="uniform".
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        kind: "classical", of the measured bit strings, or "quantum", of the state.
        seed: Of the draws.

    Example:
        >>> from qtha_lab.circuits import Angle, Circuit, Gate
        >>> turn = Circuit(1, [Gate("RY", 0, Angle.param(0))])  # p = cos², sin²: F = 1 anywhere
        >>> fisher_spectrum(turn, 3).eigenvalues.round(6).ravel()
        array([1., 1., 1.])

    Source:
        Abbas et al. 2021, arXiv:2011.00027, read all bit strings here [R]; the quantum one: Meyer
        2021, arXiv:2103.15191.
    """
    if kind not in KINDS:
        raise Refusal(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    for count in (n_samples, n_data):
        check_samples(count)
    params = draw_angles(circuit, n_samples, "zeros", seed).params
    data = draw_angles(circuit, n_samples * n_data, inputs, seed + 1).inputs
    angles = RandomAngles(data, params.repeat_interleave(n_data, 0))
    found = _fisher(*state_slopes(circuit, angles), kind)
    found = found.reshape(n_samples, n_data, *found.shape[1:]).mean(1)
    values = torch.linalg.eigvalsh(found).clamp(min=0).flip(-1)
    return FisherSpectrum(found.numpy(), values.numpy(), kind, n_data)


def state_slopes(
    circuit: Circuit, angles: RandomAngles
) -> tuple[Complex[Tensor, "samples amplitudes"], Complex[Tensor, "samples n_params amplitudes"]]:
    """Every state, and its derivative by each trainable angle.

    One common shift of an angle moves all samples, so one forward derivative serves the batch.
    """
    states = states_at(circuit, angles)
    if not circuit.n_params:
        return states, states.new_zeros(len(angles), 0, states.shape[-1])

    def shifted(shift: Tensor) -> Tensor:
        return states_at(circuit, RandomAngles(angles.inputs, angles.params + shift))

    start = angles.params.new_zeros(circuit.n_params)

    def along(direction: Tensor) -> Tensor:
        return torch.func.jvp(shifted, (start,), (direction,))[1]

    directions = torch.eye(circuit.n_params, dtype=torch.float64)
    chunk = max(1, TANGENTS_AT_ONCE // states.numel())
    with warnings.catch_warnings():  # torch's own first jvp calls its deprecated torch.jit.script
        warnings.filterwarnings("ignore", ".*torch.jit.script", DeprecationWarning)
        slopes = torch.func.vmap(along, chunk_size=chunk)(directions)
    return states, slopes.transpose(0, 1)


def _fisher(states: Tensor, slopes: Tensor, kind: str) -> Tensor:
    """(samples, n_params, n_params)."""
    if kind == "quantum":
        along = torch.einsum("sy,sky->sk", states.conj(), slopes)
        metric = torch.einsum("sky,sly->skl", slopes.conj(), slopes)
        return 4 * (metric - along.conj().unsqueeze(-1) * along.unsqueeze(-2)).real
    roots = states.abs()
    seen = roots > math.sqrt(NEVER)
    of_roots = (states.conj().unsqueeze(1) * slopes).real / roots.where(
        seen, torch.ones_like(roots)
    ).unsqueeze(1)
    of_roots = of_roots * seen.unsqueeze(1)  # ∂√p, and ∂p ∂pᵀ / p = 4 ∂√p ∂√pᵀ
    return 4 * of_roots @ of_roots.mT

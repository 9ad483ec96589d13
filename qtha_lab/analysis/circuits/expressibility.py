"""Expressibility: distance of a circuit's states at random angles from Haar-random states.

    D_KL( P(fidelity of two states of the circuit) ‖ P_Haar(F) = (N - 1)(1 - F)^(N - 2) )

in nats, from a histogram; 0 is the most expressive. Does not measure trainability.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from qtha_lab.analysis.circuits.random_angles import (
    Inputs,
    RandomAngles,
    check_samples,
    draw_angles,
    states_at,
)
from qtha_lab.circuits import Circuit, ansatze
from qtha_lab.core.errors import Refusal

N_BINS = 75  # of the published figures
MARGIN = 1e-9  # a fidelity this close below an edge counts as rounding


@dataclasses.dataclass(frozen=True)
class Expressibility:
    """Divergence of a circuit's fidelities from those of Haar-random states.

    Depends on the bins and the samples. Circuits below `floor`, the mean of truly random states
    with as many samples, cannot be distinguished. From about 8 qubits on, most fidelities of any
    entangling circuit fall into the first bin, so few differences remain visible. Does not show
    which states are missed, nor whether the circuit is trainable. A circuit of small divergence is
    often hard to train.

    Attributes:
        kl: Divergence in nats, biased upward by about `floor` when small.
        error: Standard deviation over draws of the samples.
        shares: Share of fidelities in each bin of [0, 1]; `haar` holds those of random states.
    """

    kl: float
    error: float
    floor: float
    shares: Float[np.ndarray, " bins"]
    haar: Float[np.ndarray, " bins"]
    n_samples: int


def expressibility_of(
    circuit: Circuit,
    n_samples: int = 1000,
    inputs: Inputs = "zeros",
    seed: int = 0,
    n_bins: int = N_BINS,
) -> Expressibility:
    """Compare pairs of states at random angles with random states.

    Args:
        circuit: Circuit to run; trainable angles are uniform in ±π.
        n_samples: Pairs of states, so twice as many runs.
        inputs: Data, equal for both states of a pair: "zeros", "uniform" (redrawn for every
            pair) or one sample (see `draw_angles`).
        seed: Seed of the draws.
        n_bins: Number of bins of the histogram.

    Example:
        >>> from qtha_lab.circuits import Circuit, Gate
        >>> idle = expressibility_of(Circuit(1, [Gate("Hadamard", 0)]), 10)
        >>> round(idle.kl, 4)  # all fidelities are 1: ln 75
        4.3175

    Source:
        Sim et al. 2019, arXiv:1905.10876. The error and the floor are ours.
    """
    check_samples(n_samples, least=2)
    angles = draw_angles(circuit, 2 * n_samples, inputs, seed)
    pairs = torch.cat([angles.inputs[:n_samples]] * 2)  # one datum per pair
    states = states_at(circuit, RandomAngles(pairs, angles.params))
    overlaps = (states[:n_samples].conj() * states[n_samples:]).sum(-1)
    return divergence(overlaps.abs().square().numpy(), circuit.n_qubits, n_bins)


def divergence(
    fidelities: Float[np.ndarray, " samples"], n_qubits: int, n_bins: int = N_BINS
) -> Expressibility:
    """Compare fidelities of independent pairs with those of random states.

    Args:
        fidelities: |⟨a|b⟩|² of each pair, between 0 and 1.
        n_qubits: Number of qubits of the states.
        n_bins: Number of bins of the histogram over [0, 1].

    Returns:
        The divergence in nats, with its error and floor.

    Raises:
        Refusal: If there are fewer than 2 bins.

    Example:
        >>> round(divergence(np.ones(10), n_qubits=1).kl, 4)  # all in the last bin of 75: ln 75
        4.3175

    Source:
        Sim et al. 2019, arXiv:1905.10876. The error and the floor are ours.
    """
    if n_bins < 2:
        raise Refusal(f"n_bins must be at least 2, got {n_bins}.")
    n_samples = len(fidelities)
    clipped = np.clip(fidelities + MARGIN, 0.0, 1.0)
    shares = np.histogram(clipped, np.linspace(0, 1, n_bins + 1))[0] / n_samples
    haar = np.exp(log_haar_shares(n_qubits, n_bins))
    logs = np.log(np.where(shares > 0, shares, 1.0)) - log_haar_shares(n_qubits, n_bins)
    kl = float((shares * logs).sum())
    spread = float((shares * logs**2).sum() - kl**2)  # delta method for a multinomial
    return Expressibility(
        kl=max(0.0, kl),
        error=float(np.sqrt(max(0.0, spread) / n_samples)),
        floor=haar_noise_floor(n_qubits, n_samples, n_bins),
        shares=shares,
        haar=haar,
        n_samples=n_samples,
    )


def log_haar_shares(n_qubits: int, n_bins: int) -> Float[np.ndarray, " bins"]:
    """Return log probabilities of the fidelity bins of two random states.

    For a bin from a to b of [0, 1], the probability is (1 - a)^(N - 1) - (1 - b)^(N - 1).
    Logarithms are used, since for many qubits the last bins underflow any float.

    Source:
        Życzkowski and Sommers 2005, arXiv:quant-ph/0311117.
    """
    power = 2**n_qubits - 1
    left = np.arange(n_bins, 0, -1) / n_bins  # 1 - a
    right = left - 1 / n_bins
    right[-1] = 0.0
    return power * np.log(left) + np.log1p(-((right / left) ** power))


def haar_noise_floor(n_qubits: int, n_samples: int, n_bins: int = N_BINS) -> float:
    """Return the mean divergence of truly random states in nats.

    It is Σ E[k/S ln(k / (S q))].

    k is binomial with S samples and the probability q of the bin. Counts beyond ten standard
    deviations and thirty counts are omitted.

    Args:
        n_qubits: Number of qubits of the states.
        n_samples: Pairs of states, S.
        n_bins: Number of bins of the histogram over [0, 1].

    Example:
        >>> round(haar_noise_floor(1, n_samples=1000), 3)  # near (75 - 1)/(2 · 1000)
        0.038
    """
    import scipy.stats

    total = 0.0
    for log in log_haar_shares(n_qubits, n_bins):
        mean = n_samples * np.exp(log)
        reach = 10 * np.sqrt(mean) + 30
        counts = np.arange(max(1, int(mean - reach)), min(n_samples, int(mean + reach)) + 1)
        chances = scipy.stats.binom.pmf(counts, n_samples, np.exp(log))
        total += (chances * counts / n_samples * (np.log(counts / n_samples) - log)).sum()
    return float(total)


def expressibility_points(
    name: str,
    n_qubits: int,
    layers: Sequence[int],
    n_samples: int = 1000,
    inputs: Inputs = "zeros",
    seed: int = 0,
    **options,
) -> list[dict]:
    """Return an ansatz over layers, as rows for `qtha_lab.figures.expressibility`.

    Args:
        name: Name of a registered ansatz.
        n_qubits: Number of qubits of every circuit.
        layers: Numbers of layers, one row each.
        n_samples: Pairs of states per row.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws, the same for every row.
        **options: Options of the ansatz (see `qtha_lab.circuits.ansatze.build`).

    Returns:
        Dictionaries with "ansatz", "n_layers", and "kl", "error" and "floor" in nats.

    Raises:
        Refusal: If there is no such ansatz, it has no such size or option, or n_samples is below 2.

    Example:
        >>> from qtha_lab.figures.expressibility import expressibility
        >>> figure = expressibility(expressibility_points("qtha", 3, [1, 2], 100), n_qubits=3)
        >>> figure.alt
        'Divergence from random states of 3 qubits (smaller is more expressive): ...'
    """
    rows = []
    for n_layers in layers:
        circuit = ansatze.build(name, n_qubits, n_layers, **options)
        result = expressibility_of(circuit, n_samples, inputs, seed)
        numbers = {"kl": result.kl, "error": result.error, "floor": result.floor}
        rows.append({"ansatz": name, "n_layers": n_layers, **numbers})
    return rows

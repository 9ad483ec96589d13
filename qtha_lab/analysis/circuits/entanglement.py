"""Entanglement of state vectors: entropy over cuts in bits, and the Meyer-Wallach measure.

Takes batches of pure states. Mixed states are not supported.
"""

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from qtha_lab.analysis.circuits.random_angles import Inputs, check_samples, draw_angles, states_at
from qtha_lab.circuits import Circuit
from qtha_lab.core.errors import Refusal

States = Complex[Tensor, "*batch amplitudes"]


def cut_entropies(states: States) -> Float[Tensor, "*batch cuts"]:
    """Compute the entanglement entropy in bits over each cut: wires 0…k against the rest.

    There are n - 1 cuts. The entropy does not show entanglement inside the two halves, and depends
    on the order of the wires.

    Example:
        >>> bell = torch.tensor([1.0, 0, 0, 1]) / 2**0.5
        >>> cut_entropies(bell).round(decimals=6)
        tensor([1.], dtype=torch.float64)

    Source:
        Bennett et al. 1996, arXiv:quant-ph/9511030.
    """
    n_qubits = count_qubits(states)
    entropies = [entropy_bits(states, range(cut)) for cut in range(1, n_qubits)]
    empty = torch.zeros((*states.shape[:-1], 0), dtype=torch.float64)
    return torch.stack(entropies, -1) if entropies else empty


def entropy_bits(states: States, wires: Iterable[int]) -> Float[Tensor, "*batch"]:
    """Compute the entropy -Σ p log₂ p in bits of some wires with all others.

    p are the normalised squared Schmidt coefficients. The entropy is 0 for a product and at most
    the smaller number of wires. It does not show which wires are entangled with each other.

    Raises:
        Refusal: If the wires are not distinct wires of the state.
    """
    n_qubits = count_qubits(states)
    inside = list(wires)
    if len(set(inside)) != len(inside) or any(not 0 <= w < n_qubits for w in inside):
        raise Refusal(f"wires must be different ones of 0 to {n_qubits - 1}, got {inside}.")
    outside = [w for w in range(n_qubits) if w not in inside]
    lead = states.dim() - 1
    order = [*range(lead), *(lead + w for w in inside + outside)]
    tensor = _double(states).reshape(*states.shape[:-1], *[2] * n_qubits).permute(order)
    return _entropy(tensor.reshape(*states.shape[:-1], 2 ** len(inside), 2 ** len(outside)))


def _entropy(matrices: Tensor) -> Tensor:
    """Compute entropies from the eigenvalues of the smaller reduced density matrices.

    numpy is used, since it starts no threads for small matrices.
    """
    if matrices.shape[-2] > matrices.shape[-1]:
        matrices = matrices.transpose(-1, -2)
    numbers = matrices.numpy()
    reduced = numbers @ numbers.conj().swapaxes(-1, -2)
    shares = torch.from_numpy(np.linalg.eigvalsh(reduced)).clamp(min=0)
    shares = shares / shares.sum(-1, keepdim=True)
    return (torch.special.entr(shares).sum(-1) / math.log(2)).clamp(min=0)


def meyer_wallach(states: States) -> Float[Tensor, "*batch"]:
    """Compute the Meyer-Wallach measure Q = 2(1 - mean over wires of Tr ρ_k²).

    Q measures how mixed each single qubit is. It is 0 only for a product of single qubits, and 1
    where every qubit alone is fully mixed. It does not show which qubits are entangled: GHZ and
    pairs of Bell states both have 1.

    Example:
        >>> ghz = torch.zeros(8)
        >>> ghz[0] = ghz[7] = 0.5**0.5
        >>> round(float(meyer_wallach(ghz)), 6)
        1.0

    Source:
        Meyer and Wallach 2002, arXiv:quant-ph/0108104, in the form of Brennen 2003,
        arXiv:quant-ph/0305094.
    """
    n_qubits = count_qubits(states)
    double = _double(states)
    purities = []
    for wire in range(n_qubits):
        split = double.reshape(*states.shape[:-1], 2**wire, 2, -1)
        zero, one = split[..., 0, :], split[..., 1, :]
        up, down = (v.abs().square().sum((-1, -2)) for v in (zero, one))
        mixed = (zero.conj() * one).sum((-1, -2)).abs().square()
        purities.append((up**2 + down**2 + 2 * mixed) / (up + down) ** 2)
    return (2 * (1 - torch.stack(purities, -1).mean(-1))).clamp(min=0)


def haar_meyer_wallach(n_qubits: int) -> float:
    """Return the mean of Q over uniformly random states.

    It is (N - 2)/(N + 1) with N = 2^n.

    Example:
        >>> haar_meyer_wallach(1), haar_meyer_wallach(2)
        (0.0, 0.4)

    Source:
        The mean purity of one qubit in N dimensions is (2 + N/2)/(N + 1), Lubkin 1978; stated for
        ansatze in Sim et al. 2019, arXiv:1905.10876.
    """
    n = 2**n_qubits
    return (n - 2) / (n + 1)


def haar_entropy_bits(n_qubits: int, n_inside: int) -> float:
    """Return the mean entropy in bits of `n_inside` wires of uniformly random states.

    Example:
        >>> round(haar_entropy_bits(2, 1), 6)  # (1/3 + 1/4 - 1/4) / ln 2
        0.480898

    Source:
        Page 1993, arXiv:gr-qc/9305007, equation 1: Σ_{k=m'+1}^{m m'} 1/k - (m - 1)/(2 m'), m ≤ m'.
    """
    small, large = sorted((2**n_inside, 2 ** (n_qubits - n_inside)))
    nats = sum(1 / k for k in range(large + 1, small * large + 1)) - (small - 1) / (2 * large)
    return nats / math.log(2)


def count_qubits(states: Tensor) -> int:
    """Return n for 2^n amplitudes.

    Raises:
        Refusal: If the number of amplitudes is no power of two.
    """
    size = states.shape[-1] if states.dim() else 0
    if size < 2 or size & (size - 1):
        raise Refusal(f"A state must have 2, 4, 8, … amplitudes, got {size}.")
    return size.bit_length() - 1


def _double(states: Tensor) -> Tensor:
    return states.detach().to("cpu", torch.complex128)


@dataclasses.dataclass(frozen=True)
class EntanglingCapability:
    """Mean entanglement over random angles, with standard errors.

    Does not show whether entanglement helps a task, nor the entanglement at trained angles. Many
    circuits of high capability are near random states, which are hard to train.

    Attributes:
        meyer_wallach: Mean of Q; `haar` is the mean over uniformly random states.
        cut_entropy_bits: Mean entropy of each cut between wires k and k + 1.
    """

    meyer_wallach: float
    error: float
    haar: float
    cut_entropy_bits: Float[np.ndarray, " cuts"]
    cut_errors: Float[np.ndarray, " cuts"]
    n_samples: int


def entangling_capability(
    circuit: Circuit, n_samples: int = 1000, inputs: Inputs = "zeros", seed: int = 0
) -> EntanglingCapability:
    """Average the entanglement of states over trainable angles uniform in ±π.

    Args:
        circuit: Circuit to run.
        n_samples: Number of draws.
        inputs: The data: "zeros", "uniform" or one sample (see `draw_angles`).
        seed: Seed of the draws.

    Example:
        >>> from qtha_lab.circuits.ansatze import build
        >>> entangling_capability(build("product", 3, 1), 10).meyer_wallach < 1e-12
        True

    Source:
        Sim et al. 2019, arXiv:1905.10876; the entropies beside Q are ours.
    """
    check_samples(n_samples, least=2)
    states = states_at(circuit, draw_angles(circuit, n_samples, inputs, seed))
    q, entropies = meyer_wallach(states).numpy(), cut_entropies(states).numpy()
    return EntanglingCapability(
        meyer_wallach=float(q.mean()),
        error=float(standard_error(q)),
        haar=haar_meyer_wallach(circuit.n_qubits),
        cut_entropy_bits=entropies.mean(0),
        cut_errors=standard_error(entropies),
        n_samples=n_samples,
    )


def standard_error(values: np.ndarray) -> np.ndarray:
    """Compute the standard error of the mean over the first axis of independent samples."""
    return values.std(0, ddof=1) / np.sqrt(len(values))

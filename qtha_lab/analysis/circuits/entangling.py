"""Entangling capability: mean entanglement of a circuit's states at random angles.

`entanglement` computes the entanglement of a state.
"""

import dataclasses

import numpy as np
from jaxtyping import Float

from qtha_lab.analysis.circuits.entanglement import cut_entropies, haar_meyer_wallach, meyer_wallach
from qtha_lab.analysis.circuits.random_angles import Inputs, check_samples, draw_angles, states_at
from qtha_lab.circuits import Circuit


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

"""Intruder dimensions: directions of a tuned weight that its base weight lacks.

`spectrum` measures the size of an update.
"""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.updates.sketch import leading_svd
from qtha_lab.analysis.updates.spectrum import as_matrix
from qtha_lab.core.errors import Refusal


@dataclasses.dataclass(frozen=True)
class Intruders:
    """Leading singular vectors of a tuned weight without a counterpart in the base weight.

    Does not show harm: the relation of intruders and forgetting is the paper's finding for LoRA
    against full fine-tuning. The threshold is a choice. Where singular values of the base are
    close, small changes mix its vectors, and similarities fall without any intruder.

    Attributes:
        similarities: For each leading left singular vector of the tuned weight, its largest
            |cosine| with any of the base weight.
        indices: Indices of similarities below the threshold; 0 is the leading vector.
    """

    similarities: Float[np.ndarray, " top"]
    indices: tuple[int, ...]
    threshold: float


def intruder_dimensions(
    weight: Float[Tensor, "out in"],
    change: Float[Tensor, "out in"],
    *,
    top: int = 10,
    threshold: float = 0.5,
    base_vectors: Float[Tensor, "out k"] | None = None,
) -> Intruders:
    """Find the intruder dimensions of weight + change.

    Args:
        weight: The base weight.
        change: The update, as a matrix.
        top: Number of leading vectors of the tuned weight to compare.
        threshold: Largest |cosine| of an intruder.
        base_vectors: All left singular vectors of the weight, if already known.

    Raises:
        Refusal: If the threshold is not above 0 and at most 1, or a matrix is not finite.

    Example:
        >>> base = torch.diag(torch.tensor([3.0, 2.0, 1.0, 0.0]))
        >>> new = 9 * torch.ones(4, 1) @ torch.ones(1, 4) / 4  # along (1, 1, 1, 1) / 2
        >>> intruder_dimensions(base, new, top=1, threshold=0.6).indices
        (0,)

    Source:
        Shuttleworth et al. 2024, arXiv:2410.21228, and the authors' code: left singular vectors,
        the 10 leading ones. The default threshold is that of PEFT's `reduce_intruder_dimension`.
    """
    if not 0 < threshold <= 1:
        raise Refusal(f"threshold must lie between 0 and 1, got {threshold}.")
    weight, change = as_matrix(weight), as_matrix(change)
    if base_vectors is None:
        vectors = torch.linalg.svd(weight, full_matrices=False).U
    else:
        vectors = base_vectors.double()
    tuned, _, _ = leading_svd(weight + change, top)
    largest = (tuned.mT @ vectors).abs().amax(dim=1).numpy()
    below = tuple(int(index) for index in np.flatnonzero(largest < threshold))
    return Intruders(largest, below, threshold)

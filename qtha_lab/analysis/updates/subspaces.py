"""Directions of an update: overlap of singular subspaces, and intruder dimensions.

Compares with the base weight and with other adapters. `spectrum` measures the size of an update.
"""

import dataclasses

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.updates.sketch import leading_svd
from qtha_lab.analysis.updates.spectrum import as_matrix
from qtha_lab.core.errors import Refusal

Vectors = tuple[Float[Tensor, "out k"], Float[Tensor, " k"], Float[Tensor, "k in"]]


def overlap(first: Float[Tensor, "size k"], second: Float[Tensor, "size m"]) -> float:
    """Compute the overlap ‖UᵀV‖_F² / min(k, m) of two column spans.

    It is 1 if one span contains the other, and 0 if they are orthogonal. It does not show
    significance: compare with `chance_overlap`. Vectors with nearly equal singular values are not
    well determined.

    Example:
        >>> e = torch.eye(4)
        >>> overlap(e[:, :2], e[:, 1:3])
        0.5

    Source:
        Hu et al. 2021, arXiv:2106.09685, section 7.2, equation 4.
    """
    cosines = _cosines(first, second)
    return float(cosines.square().sum()) / len(cosines)


def chance_overlap(size: int, k: int, m: int) -> float:
    """Return the expected overlap of random k- and m-dimensional subspaces: max(k, m) / size.

    E‖UᵀV‖_F² = k m / size, since each of the k m cosines has mean square 1 / size.

    Args:
        size: Dimension of the whole space.
        k: Dimension of the first subspace.
        m: Dimension of the second subspace.

    Example:
        >>> chance_overlap(192, 8, 4)
        0.041666666666666664
    """
    return max(k, m) / size


def _cosines(first: Tensor, second: Tensor) -> Float[Tensor, " min_k_m"]:
    """Return the cosines of the principal angles."""
    first, second = as_matrix(first), as_matrix(second)
    if len(first) != len(second):
        raise Refusal(
            f"subspaces must lie in one space, got {len(first)} and {len(second)} dimensions."
        )
    product = torch.linalg.qr(first).Q.mT @ torch.linalg.qr(second).Q
    return torch.linalg.svdvals(product).clamp_max(1)


@dataclasses.dataclass(frozen=True)
class Overlaps:
    """Overlaps of two leading subspaces, with those expected by chance.

    The subspaces are those of two updates, or of an update and a weight.
    """

    output: float
    input: float
    chance_output: float
    chance_input: float
    dimensions: tuple[int, int]


def compare_subspaces(first: Vectors, second: Vectors) -> Overlaps | None:
    """Compute overlaps on output and input side; None if a side has no direction."""
    (left, _, right), (other_left, _, other_right) = first, second
    k, m = left.shape[1], other_left.shape[1]
    if 0 in (k, m):
        return None
    return Overlaps(
        output=overlap(left, other_left),
        input=overlap(right.mT, other_right.mT),
        chance_output=chance_overlap(len(left), k, m),
        chance_input=chance_overlap(right.shape[1], k, m),
        dimensions=(k, m),
    )


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

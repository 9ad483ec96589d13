"""Orthogonal matrices against outliers: R = diag(±1) H / √d, or random.

The Hadamard matrices H of sizes 2ᵏ, 12·2ᵏ, 20·2ᵏ, 28·2ᵏ, 36·2ᵏ and some more come from torchao.

Source:
    QuaRot, arXiv:2404.00456; the tables of N. J. A. Sloane's library, as
    torchao.prototype.spinquant has them.
"""

import contextlib
import functools
import io

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.core.optional import require_extra

TABLE = (
    172,
    156,
    140,
    108,
    60,
    52,
    36,
    28,
    44,
    40,
    20,
    12,
    1,
)  # the first divisor is used, as in torchao


def check_size(size: int, place: str) -> None:
    """Refuse a size without a known Hadamard matrix.

    Example:
        >>> check_size(34, "down_proj")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: quantization must have rotations=random or nowhere for ...
    """
    require_extra("quantized", "Quantisation with Hadamard matrices", "torchao")
    rest = size // next(k for k in TABLE if size % k == 0)
    if rest & (rest - 1):
        raise Refusal(
            "rotations must be random or nowhere without a known Hadamard matrix, got size "
            f"{size} at {place}."
        )


@functools.cache
def hadamard(size: int) -> Float[Tensor, "size size"]:
    """Compute diag(±1) H / √d in float64, the same for every layer of a size.

    Example:
        >>> rotated = torch.eye(192, dtype=torch.float64)[5] @ hadamard(192)
        >>> rms = rotated.square().mean().sqrt()
        >>> round(float(rotated.abs().max() / rms), 6)  # √192 before the rotation
        1.0
    """
    with contextlib.redirect_stdout(io.StringIO()):  # the import prints an advertisement
        from torchao.prototype.spinquant.hadamard_utils import get_hadK, matmul_hadU_slow

    signs = torch.randint(0, 2, (size,), generator=torch.Generator().manual_seed(size)) * 2.0 - 1
    matrix, k = get_hadK(size)
    return matmul_hadU_slow(torch.diag(signs).double(), matrix, k)


@functools.cache
def random_orthogonal(size: int) -> Float[Tensor, "size size"]:
    """Draw a uniformly random orthogonal matrix in float64, seeded by its size.

    Source:
        Mezzadri 2007, arXiv:math-ph/0609050.
    """
    generator = torch.Generator().manual_seed(size)
    q, r = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return q * r.diagonal().sign()

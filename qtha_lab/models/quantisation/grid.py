"""Affine grids of 2ᵇ points, for fake quantisation.

Q(x) = s (clamp(⌊x/s⌉ + z, 0, 2ᵇ − 1) − z). The step s follows from the ends of a range. Values keep
their floating-point precision. Holds no layer.

Source:
    Jacob et al. 2018, arXiv:1712.05877 (the affine grid); Bengio et al. 2013, arXiv:1308.3432 (the
    straight-through gradient); OmniQuant, arXiv:2308.13137, for z = −⌊min/s⌉.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

WHOLE = 16  # from this number of bits on, values are not rounded
BITS = (2, 3, 4, 5, 6, 7, 8, WHOLE)
RATIOS = tuple(round(0.05 * step, 2) for step in range(20, 5, -1))  # 1.00, 0.95, … 0.30


def on_grid(
    values: Float[Tensor, "..."], low: Tensor, high: Tensor, bits: int
) -> Float[Tensor, "..."]:
    """Compute Q(values) on the grid of 2ᵇ points from low to high; clamp values beyond.

    The gradient is 1 inside the range and 0 beyond, and reaches `low` and `high` too.

    Example:
        >>> values = torch.tensor([-1.0, 0.2, 0.9, 2.0])
        >>> on_grid(values, torch.tensor(-1.0), torch.tensor(2.0), bits=2)
        tensor([-1.,  0.,  1.,  2.])
    """
    if bits >= WHOLE:
        return values
    step = ((high - low) / (2**bits - 1)).clamp_min(torch.finfo(values.dtype).tiny * 2**bits)
    zero = -_nearest(low / step)
    codes = (_nearest(values / step) + zero).clamp(0, 2**bits - 1)
    return (codes - zero) * step


def _nearest(x: Tensor) -> Tensor:
    """Compute ⌊x⌉, with the gradient of x."""
    return x + (x.round() - x).detach()


def straight_through(x: Tensor, bits: int) -> Tensor:
    """Round each row of the last axis on its own grid, with a straight-through gradient.

    The grid extends from the smallest to the largest value of the row, such as a token's
    activations or a head's key. The gradient is that of x.

    Example:
        >>> straight_through(torch.tensor([[0.0, 0.9, 3.0], [0.0, 10.0, 30.0]]), bits=2)
        tensor([[ 0.,  1.,  3.],
                [ 0., 10., 30.]])
    """
    if bits >= WHOLE:
        return x
    values = x.detach().to(torch.promote_types(x.dtype, torch.float32))
    low, high = values.aminmax(dim=-1, keepdim=True)
    return x + (on_grid(values, low, high, bits) - values).to(x.dtype)


def rotated_and_rounded(
    x: Float[Tensor, "*batch size"], rotation: Float[Tensor, "size size"] | None, bits: int
) -> Float[Tensor, "*batch size"]:
    """Compute R Q(Rᵀ x) of every row, with the identity as gradient in x.

    Args:
        x: Rows along the last axis.
        rotation: R; None is the identity.
        bits: Bits of each number.
    """
    if rotation is None:
        return straight_through(x, bits)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    with torch.autocast(x.device.type, enabled=False):
        rotation = rotation.to(wide.dtype)
        return (straight_through(wide @ rotation, bits) @ rotation.mT).to(x.dtype)


def split_groups(
    matrix: Float[Tensor, "out_features in_features"], group: int | None
) -> Float[Tensor, "out_features groups size"]:
    """Split each row into groups of `group` neighbouring weights that share a grid."""
    return matrix.unflatten(1, (-1, group or matrix.shape[1]))


def ends(
    groups: Float[Tensor, "*axes size"], left_out: Bool[Tensor, "*axes size"] | None = None
) -> tuple[Float[Tensor, "*axes 1"], Float[Tensor, "*axes 1"]]:
    """Compute the smallest and largest value of each group, without excluded values.

    A group whose values are all excluded has the ends 0 and 0.

    Example:
        >>> ends(torch.tensor([[1.0, -2.0, 9.0]]), torch.tensor([[False, False, True]]))
        (tensor([[-2.]]), tensor([[1.]]))
    """
    if left_out is None:
        low, high = groups.aminmax(dim=-1, keepdim=True)
        return low, high
    low = groups.masked_fill(left_out, torch.inf).amin(-1, keepdim=True)
    high = groups.masked_fill(left_out, -torch.inf).amax(-1, keepdim=True)
    empty = left_out.all(-1, keepdim=True)
    return low.masked_fill(empty, 0.0), high.masked_fill(empty, 0.0)


def best_clip(
    groups: Float[Tensor, "*axes size"],
    bits: int,
    left_out: Bool[Tensor, "*axes size"] | None = None,
) -> Float[Tensor, "*axes 1"]:
    """Find the range fraction, from `RATIOS`, with the least squared rounding error per group.

    Example:
        >>> normal = torch.randn(1, 4096, generator=torch.Generator().manual_seed(0))
        >>> best_clip(normal, bits=8).item() > best_clip(normal, bits=2).item()
        True
    """
    low, high = ends(groups, left_out)
    least = best = None
    for ratio in RATIOS:
        wrong = (on_grid(groups, ratio * low, ratio * high, bits) - groups).square()
        if left_out is not None:
            wrong = wrong.masked_fill(left_out, 0.0)
        error = wrong.sum(-1, keepdim=True)
        if least is None or best is None:
            least, best = error, torch.full_like(error, ratio)
            continue
        better = error < least
        least, best = torch.where(better, error, least), best.masked_fill(better, ratio)
    assert best is not None  # RATIOS is not empty
    return best


def round_matrix(
    matrix: Float[Tensor, "out_features in_features"],
    bits: int,
    group: int | None = None,
    clip: str = "whole",
    left_out: Bool[Tensor, "out_features in_features"] | None = None,
) -> Float[Tensor, "out_features in_features"]:
    """Round a weight matrix, with one grid for each group of a row.

    Args:
        matrix: Weight to round.
        bits: Bits of each weight.
        group: Number of neighbours that share a grid; None takes a whole row.
        clip: "whole": range from the smallest to the largest weight; or "grid": range at the
            `best_clip`.
        left_out: Mask of weights that are not rounded and do not affect any grid.
    """
    if bits >= WHOLE:
        return matrix
    groups = split_groups(matrix, group)
    mask = None if left_out is None else split_groups(left_out, group)
    low, high = ends(groups, mask)
    ratio = best_clip(groups, bits, mask) if clip == "grid" else 1.0
    rounded = on_grid(groups, ratio * low, ratio * high, bits).flatten(1)
    return rounded if left_out is None else torch.where(left_out, matrix, rounded)

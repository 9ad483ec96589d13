"""Non-linear share of an update: 1 - R² of affine maps on held-out tokens.

Works on pairs of activations and changes of any update.
"""

import dataclasses
from collections.abc import Collection, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.updates.update import Delta
from qtha_lab.core.errors import Refusal

FOLDS = 4
LEAST_TOKENS = 4 * FOLDS
# Ridge penalties tried, as shares of the largest squared singular value of the inputs.
PENALTIES = tuple(10.0**-power for power in (14, 12, 10, 8, 7, 6, 5, 4, 3, 2, 1))


@dataclasses.dataclass(frozen=True)
class LinearFit:
    """Shares of an update that the best affine maps do not explain.

    The shares are those of Σ‖Δy‖² over held-out tokens, for maps x ↦ W x + b. With infinitely many
    similar tokens, the share lies between `in_sample_share`, which is biased low, and `share`,
    which few tokens inflate. Where the two differ much, use more tokens (`share_curve`). `floor` is
    that inflation for an affine update. It can be 0 while `share` is still several times too large.
    The share does not measure usefulness: a non-linear share of 1 may not change the loss. Held-out
    tokens come from the same texts as those of the fit; other texts may have a larger share.

    Attributes:
        share: Share for the best map with an offset b; may exceed 1 for a poor fit.
        in_sample_share: Share for a map fitted to all tokens and scored on them.
        linear_share: Share for the best map without offset; a constant counts as non-linear.
        by_rank: Share for the best W of each rank, with an offset.
        floor: `share` for an affine update on these tokens.
    """

    share: float
    in_sample_share: float
    linear_share: float
    by_rank: dict[int, float]
    floor: float
    tokens: int
    in_features: int


def linear_fit(
    delta: Delta,
    x: Float[Tensor, "tokens in_features"],
    ranks: Collection[int] = (1, 2, 4, 8),
    *,
    seed: int = 0,
) -> LinearFit:
    """Fit W x + b to x ↦ Δy by ridge regression with `FOLDS`-fold cross-validation.

    In each fold the penalty is chosen on a quarter of the tokens of the fit and the fit then
    repeated with all of them; the fold's own tokens are only scored. The offset is not penalised. A
    rank-r map is the full one followed by a projection on the r leading directions of its fitted
    values about their mean (reduced-rank regression).

    Args:
        delta: The update, which acts on each token separately.
        x: Real activations; close bounds need several times more tokens than in_features.
        ranks: Ranks of maps to score.
        seed: Seed of the folds.

    Raises:
        Refusal: If there are fewer than 16 tokens.

    Example:
        >>> x = torch.randn(200, 6, dtype=torch.float64)
        >>> fit = linear_fit(lambda x: x**2, x, ranks=())
        >>> linear_fit(lambda x: 3 * x + 1, x, ranks=()).share < 1e-12, fit.share > 0.6
        (True, True)

    Source:
        Izenman 1975, J. Multivar. Anal. 5, 248 (reduced rank); with the ridge it is our combination
        [R].
    """
    x, y = _pairs(delta, x)
    whole = float(y.square().sum())
    if whole == 0:
        return LinearFit(0.0, 0.0, 0.0, dict.fromkeys(ranks, 0.0), 0.0, *x.shape)
    folds = _folds(len(x), seed)
    scores = _cross_validated(x, y, folds, ranks)
    affine = _affine_image(x, y)
    return LinearFit(
        share=scores["full"],
        in_sample_share=float((y - affine).square().sum()) / whole,
        linear_share=_cross_validated(x, y, folds, (), offset=False)["full"],
        by_rank={rank: scores[rank] for rank in ranks},
        floor=_cross_validated(x, affine, folds, ())["full"],
        tokens=len(x),
        in_features=x.shape[1],
    )


def share_curve(
    delta: Delta,
    x: Float[Tensor, "tokens in_features"],
    counts: Sequence[int],
    *,
    seed: int = 0,
) -> list[LinearFit]:
    """Return the bounds of `linear_fit` for growing numbers of tokens.

    The curve shows whether the bounds converge.

    Args:
        delta: x ↦ Δy, as `Update.delta`.
        x: Inputs of the layer.
        counts: Numbers of tokens to score; numbers beyond the tokens of x are omitted.
        seed: Seed of the folds.

    Returns:
        One fit per number of tokens.

    Example:
        >>> x = torch.randn(800, 6, dtype=torch.float64)
        >>> few, many = share_curve(lambda x: x**2, x, [40, 800])
        >>> few.share - few.in_sample_share > many.share - many.in_sample_share
        True
    """
    return [linear_fit(delta, x[:count], (), seed=seed) for count in counts if count <= len(x)]


def affine_share(
    x: Float[Tensor, "tokens in_features"], y: Float[Tensor, "tokens out_features"], seed: int = 0
) -> float:
    """Return the share of Σ‖y‖² that the best affine map explains.

    The map W x + b is scored on held-out tokens. An affine function has 1. The result is one minus
    the `share` of `linear_fit`, in a third of its time.

    Args:
        x: Inputs of a map; many more tokens than in_features.
        y: Outputs of the map.
        seed: Seed of the folds.

    Raises:
        Refusal: If there are fewer than 16 tokens.

    Example:
        >>> x = torch.randn(200, 2, dtype=torch.float64)
        >>> round(affine_share(x, 3 * x + 1), 6), affine_share(x, (20 * x).cos()) < 0.1
        (1.0, True)
    """
    _check_enough(len(x))
    x, y = x.detach().double(), y.detach().double()
    if not y.any():
        return 1.0
    return max(0.0, 1 - _cross_validated(x, y, _folds(len(x), seed), ())["full"])


def best_linear_map(
    x: Float[Tensor, "tokens in_features"], y: Float[Tensor, "tokens out_features"], rank: int
) -> tuple[Float[Tensor, "rank in_features"], Float[Tensor, "out_features rank"]]:
    """Fit the rank-r map y ≈ B A x by the regression of `linear_fit`.

    Args:
        x: Inputs of the layer.
        y: Change of the layer's output by the update.
        rank: Rank r of the map.

    Example:
        >>> x = torch.randn(100, 5, dtype=torch.float64)
        >>> a, b = best_linear_map(x, 3 * x, rank=5)
        >>> torch.allclose(b @ a, 3 * torch.eye(5, dtype=torch.float64))
        True
    """
    weight, fitted = _fit(x, y)
    directions = torch.linalg.svd(fitted, full_matrices=False).Vh[:rank]
    missing = rank - len(directions)  # fewer tokens or outputs than the requested rank
    if missing > 0:
        directions = torch.cat([directions, directions.new_zeros(missing, y.shape[1])])
    return (weight @ directions.mT).mT, directions.mT


def _pairs(delta: Delta, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return activations and changes in float64; refuse too few tokens."""
    _check_enough(len(x))
    x = x.detach().double()
    with torch.no_grad():
        return x, torch.cat([delta(part) for part in x.split(256)]).double()


def _check_enough(tokens: int) -> None:
    if tokens < LEAST_TOKENS:
        raise Refusal(f"x must have at least {LEAST_TOKENS} tokens for a fit, got {tokens}.")


def _folds(tokens: int, seed: int) -> tuple[Tensor, ...]:
    return torch.randperm(tokens, generator=torch.Generator().manual_seed(seed)).chunk(FOLDS)


def _affine_image(x: Tensor, y: Tensor) -> Float[Tensor, "tokens out"]:
    """Return the predictions of the best W x + b, fitted to all tokens."""
    centre, level = x.mean(0), y.mean(0)
    return (x - centre) @ _Ridge(x - centre).fit(y - level, PENALTIES[0]) + level


def _cross_validated(
    x: Tensor, y: Tensor, folds, ranks: Collection[int], offset: bool = True
) -> dict:
    """Return the unexplained share over all folds, of the full map and of each rank."""
    losses = dict.fromkeys(("full", *ranks), 0.0)
    for fold in folds:
        rest = torch.ones(len(x), dtype=torch.bool).index_fill(0, fold, False)
        centre, level = (array[rest].mean(0) if offset else array.new_zeros(()) for array in (x, y))
        weight, fitted = _fit(x[rest] - centre, y[rest] - level)
        for rank in losses:
            guess = (x[fold] - centre) @ _of_rank(weight, fitted, rank) + level
            losses[rank] += float((y[fold] - guess).square().sum())
    whole = float(y.square().sum())
    return {rank: value / whole for rank, value in losses.items()}


def _fit(x: Tensor, y: Tensor) -> tuple[Float[Tensor, "in out"], Float[Tensor, "tokens out"]]:
    """Fit the ridge map whose penalty is best on a held-out quarter.

    Returns the map and its fitted values.
    """
    cut = 3 * len(x) // 4
    trial = _Ridge(x[:cut])
    errors = [float((y[cut:] - x[cut:] @ trial.fit(y[:cut], p)).norm()) for p in PENALTIES]
    best = PENALTIES[errors.index(min(errors))]
    weight = _Ridge(x).fit(y, best)
    return weight, x @ weight


def _of_rank(weight: Tensor, fitted: Tensor, rank: int | str) -> Float[Tensor, "in out"]:
    if rank == "full":
        return weight
    directions = torch.linalg.svd(fitted, full_matrices=False).Vh[:rank]
    return weight @ directions.mT @ directions


class _Ridge:
    """Ridge regressions on the same inputs, which are decomposed once."""

    def __init__(self, x: Float[Tensor, "tokens in"]):
        self.u, self.values, self.vh = torch.linalg.svd(x, full_matrices=False)

    def fit(self, y: Float[Tensor, "tokens out"], penalty: float) -> Float[Tensor, "in out"]:
        values = self.values
        shrunk = values / (values.square() + penalty * values[0].square())
        return self.vh.mT @ (shrunk[:, None] * (self.u.mT @ y))

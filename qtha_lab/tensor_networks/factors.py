"""Factors of a size, one per site of a tensor network."""

import functools
import math
from collections.abc import Sequence

from qtha_lab.core.errors import Refusal

# Source: the QTHA authors' code (methods.md 1.2), four sites.
AUTHORS_DIMS = {
    256: (4, 4, 4, 4),
    512: (8, 4, 4, 4),
    1024: (8, 8, 4, 4),
    2048: (8, 8, 8, 4),
    2560: (8, 8, 8, 5),
    3584: (8, 8, 8, 7),
    4096: (8, 8, 8, 8),
    5120: (10, 8, 8, 8),
    18944: (37, 8, 8, 8),
    20480: (40, 8, 8, 8),
    27648: (27, 16, 8, 8),
}


def factorise(
    size: int,
    n_sites: int,
    override: Sequence[int] | None = None,
    *,
    name: str = "in_dims",
    size_name: str = "in_features",
) -> tuple[int, ...]:
    """Split a size into one factor per site, as equal as possible, the largest first.

    Args:
        size: Product of the factors.
        n_sites: Number of factors; a prime is padded with ones.
        override: Factors set by the user; they are only checked.
        name: Name of the override in errors.
        size_name: Name of the size in errors.

    Returns:
        `n_sites` factors. For four sites and the sizes in `AUTHORS_DIMS` these are the QTHA
        authors'.

    Raises:
        Refusal: If the override does not fit the size, or size or n_sites is below 1.

    Example:
        >>> factorise(576, 4), factorise(3584, 4), factorise(13, 3)
        ((6, 6, 4, 4), (8, 8, 8, 7), (13, 1, 1))
    """
    if override is not None:
        return check_factors(tuple(override), size, n_sites, name, size_name)
    if size < 1 or n_sites < 1:
        raise Refusal(
            f"{size_name} and the number of sites must be at least 1, got {size}, {n_sites}."
        )
    if n_sites == 4 and size in AUTHORS_DIMS:
        return AUTHORS_DIMS[size]
    factors = _balanced(size, n_sites)
    assert factors is not None  # (size, 1, …) always fits
    return factors


def check_factors(
    dims: tuple[int, ...], size: int, n_sites: int, name: str, size_name: str
) -> tuple[int, ...]:
    """Return factors; refuse any that do not fit a size.

    Args:
        dims: Factors, one per site.
        size: Product of the factors.
        n_sites: Number of factors.
        name: Name of the factors in errors.
        size_name: Name of the size in errors.
    """
    if any(not isinstance(d, int) or d < 1 for d in dims):
        raise Refusal(f"{name} must be whole numbers of at least 1, got {dims}.")
    if math.prod(dims) != size:
        raise Refusal(
            f"{name} must multiply to {size_name}={size}, got {dims} ({math.prod(dims)})."
        )
    if len(dims) != n_sites:
        raise Refusal(f"{name} must have {n_sites} factors (n_sites), got {dims}.")
    return dims


@functools.cache
def _balanced(size: int, n_sites: int, most: int | None = None) -> tuple[int, ...] | None:
    """Return the factors with the least sum, none above `most`; None if there are none."""
    most = size if most is None else most
    if n_sites == 1:
        return (size,) if size <= most else None
    best = None
    for first in _divisors(size):
        if first > most or first**n_sites < size:
            continue
        rest = _balanced(size // first, n_sites - 1, first)
        if rest is not None and (best is None or sum(rest) + first < sum(best)):
            best = (first, *rest)
    return best


@functools.cache
def _divisors(size: int) -> tuple[int, ...]:
    small = [d for d in range(1, math.isqrt(size) + 1) if size % d == 0]
    return tuple(sorted({*small, *(size // d for d in small)}))

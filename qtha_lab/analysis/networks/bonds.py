"""Bonds of a matrix product operator: singular values, entanglement and truncation.

    W = Σ_s  L_s · σ_s · R_s      at each bond, the sites to its left in L, to its right in R

The values need the canonical form, which is computed first. A state vector is an operator
whose columns all have size 1. `factorisation` chooses factors.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks.mpo import MpoShape

Sites = list[Float[Tensor, "left out in right"]]


@dataclasses.dataclass(frozen=True)
class Bond:
    """One bond of an operator or state.

    Entanglement here is a property of a matrix cut in two. It does not show that a quantum computer
    is needed or helps. It depends on the factorisation and the order of the sites.

    Attributes:
        position: Number of sites to the left of the bond.
        dimension: Size of the bond in the cores.
        values: Singular values across the bond, largest first.
        cut: After truncation, the Frobenius norm of the values dropped here.
    """

    position: int
    dimension: int
    values: Float[np.ndarray, " values"]
    cut: float = 0.0

    @property
    def entropy_bits(self) -> float:
        """Entanglement entropy -Σ p log₂ p in bits, with p = σ² / Σσ².

        It is 0 for a product, and at most log₂ of the dimension.

        Source:
            Schollwöck 2011, arXiv:1008.3477, section 4.1.1.
        """
        squares = self.values[self.values > 0] ** 2
        if not len(squares):
            return 0.0
        shares = squares / squares.sum()
        return max(0.0, float(-(shares * np.log2(shares)).sum()))


def bonds_of(cores: Sequence[Tensor], shape: MpoShape) -> list[Bond]:
    """Return every bond of an operator, from left to right.

    Example:
        >>> from qtha_lab.tensor_networks import mpo
        >>> cnot = torch.eye(4)[[0, 1, 3, 2]]
        >>> cores, shape = mpo.from_matrix(cnot, (2, 2), (2, 2), cutoff=1e-6)
        >>> bonds_of(cores, shape)[0].values.round(6)  # P₀⊗I + P₁⊗X
        array([1.414214, 1.414214])
    """
    return _sweep(_canonical(_sites(cores, shape)), [None] * (shape.n_sites - 1), 0.0)[1]


def truncate(
    cores: Sequence[Tensor],
    shape: MpoShape,
    max_bond: int | Sequence[int] | None = None,
    cutoff: float = 0.0,
) -> tuple[list[Tensor], MpoShape, list[Bond]]:
    """Return an approximating operator with smaller bonds, and the truncated bonds.

    The squared total error is the sum of the squares of the cuts. It is at most √(bonds) times the
    error of the best operator with these bonds.

    Args:
        cores: Cores of the operator, as from `mpo.from_matrix`; they are not changed.
        shape: Sizes of the same operator.
        max_bond: Maximum number of values at all bonds, or per bond; None keeps all.
        cutoff: Drop values below this fraction of the largest at their bond.

    Raises:
        Refusal: If a bond is below 1, or their number does not match the operator.

    Source:
        Oseledets 2011, SIAM J. Sci. Comput. 33, 2295, algorithm 2 (rounding).
    """
    limits: list[int | None] = (
        [max_bond] * (shape.n_sites - 1)
        if max_bond is None or isinstance(max_bond, int)
        else list(max_bond)
    )
    if len(limits) != shape.n_sites - 1 or any(m is not None and m < 1 for m in limits):
        raise Refusal(
            f"max_bond must be at least 1, for one bond or each of {shape.n_sites - 1}, got "
            f"{max_bond}."
        )
    parts, bonds = _sweep(_canonical(_sites(cores, shape)), limits, cutoff)
    smaller = MpoShape(shape.in_dims, shape.out_dims, (1, *[p.shape[-1] for p in parts]))
    smaller_cores = [
        part.permute(1, 3, 0, 2).reshape(size).to(core)
        for part, size, core in zip(parts, smaller.core_shapes, cores, strict=True)
    ]
    return smaller_cores, smaller, bonds


def _sites(cores: Sequence[Tensor], shape: MpoShape) -> Sites:
    return [
        core.detach().to("cpu", torch.float64).reshape(site).permute(2, 0, 3, 1)
        for core, site in zip(cores, shape.sites, strict=True)
    ]


def _canonical(sites: Sites) -> Sites:
    """Return an equal operator in which every site but the last is a left isometry."""
    sites_done, carry = [], torch.eye(1, dtype=torch.float64)
    for site in sites[:-1]:
        site = torch.tensordot(carry, site, dims=1)
        q, carry = torch.linalg.qr(site.reshape(-1, site.shape[-1]))
        sites_done.append(q.reshape(*site.shape[:-1], -1))
    return [*sites_done, torch.tensordot(carry, sites[-1], dims=1)]


def _sweep(sites: Sites, limits: list[int | None], cutoff: float) -> tuple[Sites, list[Bond]]:
    """Decompose from the right, keeping the largest values; the sites must be canonical."""
    parts, bonds, carry = [], [], sites[-1]
    for position in range(len(sites) - 1, 0, -1):
        _, o, i, right = carry.shape
        u, values, vh = torch.linalg.svd(carry.reshape(len(carry), -1), full_matrices=False)
        cap = limits[position - 1]
        n_values = int((values > cutoff * values[0]).sum()) if cutoff else len(values)
        n_values = max(1, min(n_values, cap or n_values))
        dimension = n_values if cap or cutoff else len(carry)
        cut = float(values[n_values:].norm())
        bonds.append(Bond(position, dimension, values[:n_values].numpy(), cut))
        parts.append(vh[:n_values].reshape(n_values, o, i, right))
        carry = torch.tensordot(sites[position - 1], u[:, :n_values] * values[:n_values], dims=1)
    return [carry, *parts[::-1]], bonds[::-1]

"""Factorisation of any matrix as a matrix product operator: error and operations.

Decomposes with `mpo.from_matrix` (TT-SVD by tensornetwork), truncates with `bonds.truncate`, and
counts operations. `bonds` analyses the bonds.
"""

import dataclasses
import math
from collections.abc import Sequence

import opt_einsum
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.networks.bonds import truncate
from qtha_lab.analysis.updates.spectrum import as_matrix
from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.mpo import MpoShape

LARGEST = 2048  # smaller side above which a matrix is cut first


@dataclasses.dataclass(frozen=True)
class Factorised:
    """Matrix as an operator of given sizes, with its approximation error.

    Does not show the effect of the error on the model: a small share of the norm may be important.

    Attributes:
        order: Digit of the index per site; (0, 1, …) is the usual chain.
        relative_error: ‖W - MPO‖_F / ‖W‖_F.
        flops_per_token: Operations of the cheapest contraction with one vector.
    """

    out_dims: tuple[int, ...]
    in_dims: tuple[int, ...]
    order: tuple[int, ...]
    bonds: tuple[int, ...]
    n_parameters: int
    dense_parameters: int
    relative_error: float
    flops_per_token: int

    def row(self) -> dict:
        """Return the result as plain data."""
        return dataclasses.asdict(self)


def truncation_curve(
    matrix: Float[Tensor, "rows cols"],
    out_dims: Sequence[int],
    in_dims: Sequence[int],
    max_bonds: Sequence[int] = (1, 2, 4, 8, 16, 32, 64),
) -> list[Factorised]:
    """Return error against parameters for growing bonds, from one decomposition.

    A random matrix has a curve of the same shape, shifted up. Compare with a random matrix of the
    same size before inferring structure.

    Args:
        matrix: Matrix to decompose; rows are outputs, columns inputs.
        out_dims: One factor per site; they multiply to the rows, the first the most significant.
        in_dims: The same number of factors, which multiply to the columns.
        max_bonds: Maximum numbers of singular values per bond, one point of the curve each.

    Returns:
        One point per entry of max_bonds, in its order.

    Raises:
        Refusal: If a bond is below 1, or the factors do not fit the matrix.

    Example:
        >>> import torch
        >>> two = torch.kron(torch.randn(4, 4), torch.randn(3, 3)) + torch.eye(12)
        >>> curve = truncation_curve(two, (4, 3), (4, 3), (2, 4))
        >>> [round(point.relative_error, 6) for point in curve]
        [0.0, 0.0]
    """
    if not max_bonds or min(max_bonds) < 1:
        raise Refusal(f"max_bonds must be whole numbers of at least 1, got {tuple(max_bonds)}.")
    matrix = as_matrix(matrix)
    first_cut = max(max_bonds) if min(matrix.shape) > LARGEST else None
    cores, shape = mpo.from_matrix(matrix, out_dims, in_dims, max_bond=first_cut)
    whole = float(matrix.norm())
    loss = 0.0 if first_cut is None else whole**2 - float(mpo.norm(cores, shape)) ** 2
    order = tuple(range(len(in_dims)))
    return [
        _point(truncate(cores, shape, max_bond), order, whole, max(loss, 0.0))
        for max_bond in max_bonds
    ]


def _point(cut: tuple, order: tuple[int, ...], whole: float, loss: float) -> Factorised:
    _, shape, bonds = cut
    error = math.sqrt(loss + sum(bond.cut**2 for bond in bonds))
    return Factorised(
        out_dims=shape.out_dims,
        in_dims=shape.in_dims,
        order=order,
        bonds=shape.bonds,
        n_parameters=shape.n_parameters,
        dense_parameters=shape.in_features * shape.out_features,
        relative_error=error / whole if whole else 0.0,
        flops_per_token=contraction_flops(shape, 1),
    )


def permute_digits(
    matrix: Float[Tensor, "rows cols"],
    out_dims: Sequence[int],
    in_dims: Sequence[int],
    order: Sequence[int],
) -> Float[Tensor, "rows cols"]:
    """Permute the digits of both matrix indices.

    Args:
        matrix: Matrix whose rows and columns are reordered.
        out_dims: Sizes of the digits of the row index, the most significant first.
        in_dims: Sizes of the digits of the column index, as many.
        order: Index of the old digit at each new position.

    Returns:
        A matrix of the same shape.

    Example:
        >>> import torch
        >>> a, b = torch.randn(2, 2), torch.randn(3, 3)
        >>> swapped = permute_digits(torch.kron(a, b), (2, 3), (2, 3), (1, 0))
        >>> bool(torch.allclose(swapped, torch.kron(b, a)))
        True
    """
    n = len(in_dims)
    legs = matrix.reshape(*out_dims, *in_dims).permute(*order, *(n + k for k in order))
    return legs.reshape(matrix.shape)


def contraction_flops(shape: MpoShape, tokens: int = 1) -> int:
    """Count the operations of the cheapest contraction, or of a cheaper dense product.

    Joining the cores first is included. Does not show time: small contractions run far below a
    machine's peak (see `mpo.takes_dense_route`).
    """
    dense = mpo.join_flops(shape) + 2 * tokens * shape.in_features * shape.out_features
    equation, sizes = contraction(shape, tokens)
    how = "optimal" if shape.n_sites <= 5 else "auto"
    _, info = opt_einsum.contract_path(equation, *sizes, shapes=True, optimize=how)
    return int(min(dense, float(info.opt_cost)))


def contraction(shape: MpoShape, tokens: int) -> tuple[str, list[tuple[int, ...]]]:
    """Return the einsum of a batch of vectors with all sites, and its operand sizes."""
    n = shape.n_sites
    symbol = opt_einsum.get_symbol
    ins, outs = ([symbol(start + k) for k in range(n)] for start in (0, n))
    links = [symbol(2 * n + k) for k in range(n + 1)]
    batch = symbol(3 * n + 1)
    sites = [outs[k] + links[k + 1] + links[k] + ins[k] for k in range(n)]
    equation = f"{batch}{''.join(ins)},{','.join(sites)}->{batch}{''.join(outs)}"
    return equation, [(tokens, *shape.in_dims), *shape.sites]

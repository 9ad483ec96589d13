"""Factorisation of any matrix as a matrix product operator: error and operations.

Decomposes with `mpo.from_matrix` (TT-SVD by tensornetwork), truncates with `bonds.truncate`, and
counts operations. `Decomposed` is cut repeatedly, as in an explorer. `bonds` analyses the bonds.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import opt_einsum
from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.networks.bonds import Bond, bonds_of, truncate
from qtha_lab.analysis.updates.spectrum import as_matrix
from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise
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
    points = []
    for max_bond in max_bonds:
        _, cut, bonds = truncate(cores, shape, max_bond)
        squared = max(loss, 0.0) + sum(bond.cut**2 for bond in bonds)
        points.append(_factorised(cut, order, whole, squared))
    return points


def _factorised(
    shape: MpoShape, order: tuple[int, ...], norm: float, squared_error: float
) -> Factorised:
    return Factorised(
        out_dims=shape.out_dims,
        in_dims=shape.in_dims,
        order=order,
        bonds=shape.bonds,
        n_parameters=shape.n_parameters,
        dense_parameters=shape.in_features * shape.out_features,
        relative_error=math.sqrt(squared_error) / norm if norm else 0.0,
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


WIDEST = 256  # wider bonds are cut once at the beginning, so that every later cut is fast


@dataclasses.dataclass(frozen=True)
class Decomposed:
    """Matrix as an operator with bonds as wide as needed, up to `WIDEST`.

    Attributes:
        norm: Frobenius norm of the matrix.
        lost: Norm of the part beyond `WIDEST`; 0 where no bond is wider.
    """

    cores: tuple[Tensor, ...]
    shape: MpoShape
    order: tuple[int, ...]
    norm: float
    lost: float

    @classmethod
    def of(
        cls,
        matrix: Float[Tensor, "rows cols"],
        n_sites: int,
        order: Sequence[int] | None = None,
        widest: int = WIDEST,
    ) -> "Decomposed":
        """Decompose a matrix with balanced factors.

        Args:
            matrix: Matrix to decompose; rows are outputs, columns inputs.
            n_sites: Number of cores.
            order: Digit of the index per site; None uses the order of the index.
            widest: Maximum bond dimension.

        Raises:
            Refusal: If a size cannot be split over the sites, or the order lacks a digit.

        Example:
            >>> import torch
            >>> swap = torch.eye(4)[[0, 2, 1, 3]]
            >>> Decomposed.of(swap, 2).shape.bonds
            (1, 4, 1)
        """
        matrix = as_matrix(matrix)
        order = tuple(range(n_sites)) if order is None else tuple(order)
        if sorted(order) != list(range(n_sites)):
            raise Refusal(f"order must hold each of 0 … {n_sites - 1} once, got {order}.")
        outs, ins = (factorise(side, n_sites) for side in matrix.shape)
        tensor = permute_digits(matrix, outs, ins, order)
        outs, ins = ([dims[k] for k in order] for dims in (outs, ins))
        cores, shape = mpo.from_matrix(tensor, outs, ins, max_bond=widest)
        whole, kept_norm = float(tensor.norm()), float(mpo.norm(cores, shape))
        loss = math.sqrt(max(whole**2 - kept_norm**2, 0.0)) if widest in shape.bonds else 0.0
        return cls(tuple(cores), shape, order, whole, loss)

    @functools.cached_property
    def bonds(self) -> list[Bond]:
        """All decomposed bonds with their singular values and entropies.

        Values beyond `WIDEST` are not included.
        """
        return bonds_of(self.cores, self.shape)

    @property
    def widths(self) -> tuple[int, ...]:
        """Bond dimensions between the sites."""
        return self.shape.bonds[1:-1]

    def cut(self, widths: Sequence[int]) -> Factorised:
        """Truncate the operator to bonds of these widths and compute its error.

        Example:
            >>> import torch
            >>> cnot = torch.eye(4)[[0, 1, 3, 2]]  # P₀⊗I + P₁⊗X, two terms of one size
            >>> whole = Decomposed.of(cnot, 2)
            >>> round(whole.cut([1]).relative_error**2, 6), round(whole.cut([2]).relative_error, 6)
            (0.5, 0.0)
        """
        if len(widths) == len(self.widths) == 1 and widths[0] >= 1:
            return self._of_two_sites(widths[0])
        _, shape, loss = _narrowed(self.cores, self.shape, tuple(widths))
        return self._point(shape, loss)

    def _of_two_sites(self, width: int) -> Factorised:
        """Compute the result of `cut` for one bond from its singular values.

        Nothing is decomposed again.
        """
        (bond,) = self.bonds
        shape = dataclasses.replace(self.shape, bonds=(1, min(width, bond.dimension), 1))
        return self._point(shape, float((bond.values[width:] ** 2).sum()))

    def curve(self, widths: Sequence[int]) -> list[Factorised]:
        """Return a point per common width of all bonds, the narrowest first.

        Each is cut from the next wider one, which is fast; squares of the cuts add up.
        """
        cores, shape, loss, points = self.cores, self.shape, 0.0, []
        for width in sorted(set(widths), reverse=True):
            cores, shape, added_loss = _narrowed(cores, shape, (width,) * len(self.widths))
            loss += added_loss
            points.append(self._point(shape, loss))
        return points[::-1]

    def _point(self, shape: MpoShape, loss: float) -> Factorised:
        return _factorised(shape, self.order, self.norm, self.lost**2 + loss)


def _narrowed(cores: Sequence[Tensor], shape: MpoShape, widths: tuple[int, ...]) -> tuple:
    """Truncate cores where a bond is wider than its width.

    Returns cores, sizes and the square of the cut; unchanged where no bond is wider.
    """
    inner = shape.bonds[1:-1]
    if len(widths) == len(inner) and all(w >= bond for w, bond in zip(widths, inner, strict=True)):
        return cores, shape, 0.0
    cores, shape, bonds = truncate(cores, shape, list(widths))
    return cores, shape, sum(bond.cut**2 for bond in bonds)

"""Matrix decomposed once for repeated truncation, such as in an interactive explorer.

`factorisation` has the error curve of a matrix that is decomposed anew.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from qtha_lab.analysis.networks.bonds import Bond, bonds_of, truncate
from qtha_lab.analysis.networks.factorisation import Factorised, contraction_flops, permute_digits
from qtha_lab.analysis.updates.spectrum import as_matrix
from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise
from qtha_lab.tensor_networks.mpo import MpoShape

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
        error = math.sqrt(self.lost**2 + loss)
        return Factorised(
            out_dims=shape.out_dims,
            in_dims=shape.in_dims,
            order=self.order,
            bonds=shape.bonds,
            n_parameters=shape.n_parameters,
            dense_parameters=shape.in_features * shape.out_features,
            relative_error=error / self.norm if self.norm else 0.0,
            flops_per_token=contraction_flops(shape, 1),
        )


def _narrowed(cores: Sequence[Tensor], shape: MpoShape, widths: tuple[int, ...]) -> tuple:
    """Truncate cores where a bond is wider than its width.

    Returns cores, sizes and the square of the cut; unchanged where no bond is wider.
    """
    inner = shape.bonds[1:-1]
    if len(widths) == len(inner) and all(w >= bond for w, bond in zip(widths, inner, strict=True)):
        return cores, shape, 0.0
    cores, shape, bonds = truncate(cores, shape, list(widths))
    return cores, shape, sum(bond.cut**2 for bond in bonds)

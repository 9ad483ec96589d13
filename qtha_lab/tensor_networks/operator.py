"""Matrix product operator as one object: cores with their sizes."""

import dataclasses
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise


@dataclasses.dataclass(frozen=True)
class MPO:
    """Matrix product operator.

    Attributes:
        cores: Cores in order (see `mpo`).
        shape: Sizes of the operator.

    Example:
        >>> import torch
        >>> weight = torch.kron(torch.ones(4, 2), torch.eye(2))
        >>> operator = MPO.from_matrix(weight, bond_dim=8, n_sites=2, cutoff=1e-6)
        >>> operator.shape.bonds, torch.allclose(operator.dense(), weight)
        ((1, 1, 1), True)
    """

    cores: Sequence[Tensor]
    shape: mpo.MpoShape

    @classmethod
    def from_matrix(
        cls,
        matrix: Float[Tensor, "out_features in_features"],
        bond_dim: int | None = None,
        n_sites: int = 4,
        cutoff: float = 0.0,
    ) -> "MPO":
        """Decompose a matrix by singular values (see `mpo.from_matrix`).

        Args:
            matrix: Matrix to decompose.
            bond_dim: Largest bond between two cores; None keeps all singular values.
            n_sites: Number of cores; the sides are split as equally as possible.
            cutoff: Drop singular values below this fraction of the largest at their bond.

        Raises:
            Refusal: If bond_dim or n_sites is below 1.
        """
        rows, columns = matrix.shape
        out_dims = factorise(rows, n_sites, name="out_dims", size_name="out_features")
        in_dims = factorise(columns, n_sites)
        return cls(*mpo.from_matrix(matrix, out_dims, in_dims, bond_dim, cutoff))

    def __call__(self, x: Float[Tensor, "*tokens in_features"]) -> Tensor:
        """Apply the operator to vectors."""
        return mpo.apply(list(self.cores), self.shape, x)

    def dense(self) -> Float[Tensor, "out_features in_features"]:
        """Return the matrix."""
        return mpo.dense(list(self.cores), self.shape)

    @property
    def n_parameters(self) -> int:
        """Number of entries of all cores."""
        return self.shape.n_parameters

"""Matrix product operators (tensor-train matrices): cores, application and decomposition.

Spectra and entropies are in `qtha_lab.analysis`; adapters and training use this module.

Core k has the matrix form of the QTHA authors, (o_k R_{k+1}) × (R_k i_k). The first site is the
most significant digit of an index. There are two routes to apply an operator. `apply` counts their
floating-point operations, weights them by measured cost, and selects the faster route:
* join the cores of each half, and apply the two halves one after the other;
* join all cores, and apply one dense product.

Many operators of the same sizes are applied at once, with the same number of calls as one. Their
cores and inputs then have the same leading axes.
quimb and tensornetwork apply one operator per call.
"""

import dataclasses
import functools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal
from qtha_lab.tensor_networks.factors import check_factors

# Cost of an operation relative to one in the two small products through the halves. Measured from
# forward and backward times on 576→64, 576→256, 192→16, 192→256 and 3584→256 with 1 to 2048 tokens.
# A large product is faster per operation, and joining cores moves memory.
PRODUCT_COST = 0.3
JOIN_COST = 4.0


@dataclasses.dataclass(frozen=True)
class MpoShape:
    """Sizes of an operator: factors of its two sides and bonds between its sites.

    Example:
        >>> shape = MpoShape.uniform((8, 8, 8, 7), (4, 4, 4, 4), bond_dim=8)
        >>> shape.in_features, shape.out_features, shape.bonds, shape.n_parameters
        (3584, 256, (1, 8, 8, 8, 1), 4576)
    """

    in_dims: tuple[int, ...]
    out_dims: tuple[int, ...]
    bonds: tuple[int, ...]

    @classmethod
    def uniform(cls, in_dims: Sequence[int], out_dims: Sequence[int], bond_dim: int) -> "MpoShape":
        """Return sizes with the same bond between all neighbours, as the QTHA authors use.

        Args:
            in_dims: Factors of the number of inputs, one per site.
            out_dims: Factors of the number of outputs, one per site.
            bond_dim: Bond between any two neighbours; the two ends have bond 1.

        Returns:
            The sizes of an operator of `len(in_dims)` sites.

        Example:
            >>> MpoShape.uniform((4, 4, 4), (2, 2, 2), bond_dim=3).core_shapes
            [(6, 4), (6, 12), (2, 12)]

        Source:
            The QTHA authors' code (methods.md 1.2).
        """
        bonds = (1, *[bond_dim] * (len(in_dims) - 1), 1)
        return cls(tuple(in_dims), tuple(out_dims), bonds)

    @property
    def n_sites(self) -> int:
        """Number of cores."""
        return len(self.in_dims)

    @property
    def in_features(self) -> int:
        """Columns of the dense matrix."""
        return math.prod(self.in_dims)

    @property
    def out_features(self) -> int:
        """Rows of the dense matrix."""
        return math.prod(self.out_dims)

    @property
    def core_shapes(self) -> list[tuple[int, int]]:
        """Shape of the matrix form of each core, (o_k R_{k+1}) × (R_k i_k)."""
        return [(o * right, left * i) for o, right, left, i in self.sites]

    @property
    def sites(self) -> list[tuple[int, int, int, int]]:
        """Sizes (o_k, R_{k+1}, R_k, i_k) of each site."""
        bonds = zip(self.bonds[1:], self.bonds[:-1], strict=True)
        return [
            (o, right, left, i)
            for o, (right, left), i in zip(self.out_dims, bonds, self.in_dims, strict=True)
        ]

    @property
    def n_parameters(self) -> int:
        """Number of entries of all cores, Σ_k o_k R_{k+1} R_k i_k."""
        return sum(math.prod(site) for site in self.sites)


Cores = Sequence[Float[Tensor, "*operators out_and_right left_and_in"]]


def apply(
    cores: Cores, shape: MpoShape, x: Float[Tensor, "*operators_and_batch in_features"]
) -> Float[Tensor, "*operators_and_batch out_features"]:
    """Apply the operator to each row of x, as `x @ dense(cores, shape).T` does.

    Args:
        cores: Cores of the operator, in order; many operators have common leading axes.
        shape: Sizes of the operator.
        x: Input (…, in_features); many operators have their leading axes first.

    Returns:
        Output (…, out_features), differentiable in cores and x.

    Example:
        >>> cores, shape = from_matrix(torch.diag(torch.arange(1.0, 5.0)), (2, 2), (2, 2))
        >>> apply(cores, shape, torch.ones(1, 4)).round().tolist()
        [[1.0, 2.0, 3.0, 4.0]]
    """
    return _apply(cores, shape, x, False)


def apply_transposed(
    cores: Cores, shape: MpoShape, y: Float[Tensor, "*operators_and_batch out_features"]
) -> Float[Tensor, "*operators_and_batch in_features"]:
    """Apply the transposed operator to each row of y, as `y @ dense(cores, shape)` does.

    Args:
        cores: Cores of the operator, in order; many operators have common leading axes.
        shape: Sizes of the operator.
        y: Input (…, out_features); many operators have their leading axes first.

    Returns:
        Output (…, in_features), differentiable in cores and y.

    Example:
        >>> cores, shape = from_matrix(torch.arange(16.0).reshape(4, 4), (2, 2), (2, 2))
        >>> first = torch.tensor([1.0, 0.0, 0.0, 0.0])
        >>> apply_transposed(cores, shape, first).round().abs().tolist()
        [0.0, 1.0, 2.0, 3.0]
    """
    return _apply(cores, shape, y, True)


def _apply(cores: Cores, shape: MpoShape, x: Tensor, transposed: bool) -> Tensor:
    operators = cores[0].shape[:-2]
    rows = x.reshape(*operators, -1, x.shape[-1])
    legs = _four_legs(cores, shape)
    if not transposed:  # input legs first
        legs = [leg.transpose(-4, -1) for leg in legs]
    # one graph serves any number of tokens
    if torch.compiler.is_compiling() or takes_dense_route(shape, rows.shape[-2], transposed):
        matrix = _join(legs).reshape(*operators, x.shape[-1], -1)
        result = rows @ matrix
    else:
        result = _through_halves(legs, rows)
    return result.reshape(*x.shape[:-1], result.shape[-1])


def _through_halves(
    legs: list[Tensor], rows: Float[Tensor, "*operators tokens source"]
) -> Float[Tensor, "*operators tokens target"]:
    """Apply the second half of the sites, then the first, without the dense matrix."""
    half = len(legs) // 2
    first, second = _join(legs[:half]), _join(legs[half:])  # (s, b, 1, t), (q, 1, b, u)
    (s, bond, _, t), (q, _, _, u) = first.shape[-4:], second.shape[-4:]
    operators, tokens = rows.shape[:-2], rows.shape[-2]
    between = rows.reshape(*operators, tokens * s, q) @ second.reshape(*operators, q, bond * u)
    between = _permuted(between.reshape(*operators, tokens, s, bond, u), 0, 3, 1, 2)
    result = between.reshape(*operators, tokens * u, s * bond) @ first.reshape(
        *operators, s * bond, t
    )
    return result.reshape(*operators, tokens, u, t).mT.reshape(*operators, tokens, t * u)


@functools.lru_cache(maxsize=8192)
def takes_dense_route(shape: MpoShape, tokens: int, transposed: bool = False) -> bool:
    """Return True if joining all cores first is expected to be faster.

    Args:
        shape: Sizes of the operator.
        tokens: Number of rows of the input.
        transposed: Apply the transposed operator, from outputs to inputs.

    Returns:
        True for one dense product, False for the two halves.

    Example:
        >>> shape = MpoShape.uniform((16, 16, 16), (16, 16, 16), bond_dim=2)
        >>> takes_dense_route(shape, tokens=1), takes_dense_route(shape, tokens=0)
        (False, True)
    """
    if tokens == 0 or shape.n_sites == 1:
        return True
    dense = PRODUCT_COST * 2 * tokens * shape.in_features * shape.out_features
    half = shape.n_sites // 2
    ((o, bond, _, i), first), ((p, _, _, j), second) = map(
        _join_flops, (tuple(shape.sites[:half]), tuple(shape.sites[half:]))
    )
    (s, t), (q, u) = ((o, i), (p, j)) if transposed else ((i, o), (j, p))
    halves = 2 * tokens * s * bond * u * (q + t)
    return JOIN_COST * join_flops(shape) + dense <= JOIN_COST * (first + second) + halves


def _four_legs(
    cores: Cores, shape: MpoShape
) -> list[Float[Tensor, "*operators out right left in"]]:
    return [
        core.reshape(*core.shape[:-2], *site) for core, site in zip(cores, shape.sites, strict=True)
    ]


def dense(cores: Cores, shape: MpoShape) -> Float[Tensor, "*operators out_features in_features"]:
    """Return the operator as a matrix, W[j₁…jₙ, i₁…iₙ] = Π_k w⁽ᵏ⁾[j_k, i_k].

    The product contracts the bonds.

    Source:
        Oseledets 2011, SIAM J. Sci. Comput. 33, 2295, section 4.3.
    """
    joined = _join(_four_legs(cores, shape))
    return joined.reshape(*joined.shape[:-4], shape.out_features, shape.in_features)


def _join(legs: list[Tensor]) -> Float[Tensor, "*operators out right left in"]:
    """Contract neighbours pairwise, halves first, until one tensor is left."""
    if len(legs) == 1:
        return legs[0]
    half = len(legs) // 2
    first, second = _join(legs[:half]), _join(legs[half:])
    operators = first.shape[:-4]
    o, bond, left, i = first.shape[-4:]
    p, right, _, j = second.shape[-4:]
    product = _permuted(first, 0, 2, 3, 1).reshape(*operators, o * left * i, bond) @ _permuted(
        second, 2, 0, 1, 3
    ).reshape(*operators, bond, p * right * j)
    legs_apart = _permuted(product.reshape(*operators, o, left, i, p, right, j), 0, 3, 4, 1, 2, 5)
    return legs_apart.reshape(*operators, o * p, right, left, i * j)


def _permuted(tensor: Tensor, *order: int) -> Tensor:
    """Permute the last axes; the leading axes stay."""
    start = tensor.dim() - len(order)
    return tensor.permute(*range(start), *(start + axis for axis in order))


def join_flops(shape: MpoShape) -> int:
    """Count the floating-point operations of `dense`."""
    return _join_flops(tuple(shape.sites))[1]


@functools.cache
def _join_flops(sites: tuple[tuple[int, int, int, int], ...]):
    if len(sites) == 1:
        return sites[0], 0
    half = len(sites) // 2
    (o, bond, left, i), before = _join_flops(sites[:half])
    (p, right, _, j), after = _join_flops(sites[half:])
    return (o * p, right, left, i * j), before + after + 2 * o * left * i * bond * p * right * j


def norm(cores: Cores, shape: MpoShape) -> Float[Tensor, ""]:
    """Compute the Frobenius norm of the operator without the dense matrix."""
    environment = torch.ones(1, 1, dtype=cores[0].dtype, device=cores[0].device)
    for core in _four_legs(cores, shape):
        environment = torch.einsum("orsi,st,oqti->rq", core, environment, core)
    return environment.squeeze().clamp_min(0).sqrt()


@torch.no_grad()
def kaiming_(cores: Cores) -> None:
    """Initialise cores as the QTHA authors do: normal, variance 2 / (R_k i_k).

    Source:
        The authors' code (methods.md 1.4).
    """
    for core in cores:
        torch.nn.init.kaiming_normal_(core)


@torch.no_grad()
def balanced_(cores: Cores, shape: MpoShape) -> None:
    """Initialise cores so that the dense map has singular values near 1.

    Their root mean square is exactly 1. Each core's matrix form is drawn semi-orthogonal, which
    makes the operator a chain of isometries and projections. All cores are scaled equally to the
    exact norm. This initialisation is ours, not the authors'.
    """
    for core in cores:
        torch.nn.init.orthogonal_(core)
    target = math.sqrt(min(shape.in_features, shape.out_features))
    factor = (target / norm(cores, shape)) ** (1 / shape.n_sites)
    for core in cores:
        core.mul_(factor)


def from_matrix(
    matrix: Float[Tensor, "out_features in_features"],
    out_dims: Sequence[int],
    in_dims: Sequence[int],
    max_bond: int | None = None,
    cutoff: float = 0.0,
) -> tuple[list[Float[Tensor, "out_and_right left_and_in"]], MpoShape]:
    """Decompose a matrix into cores, one singular value decomposition per bond (TT-SVD).

    Args:
        matrix: Matrix to decompose.
        out_dims: Factors of the rows.
        in_dims: Factors of the columns.
        max_bond: Maximum number of singular values per bond; None keeps all.
        cutoff: Drop singular values below this fraction of the largest at their bond.

    Returns:
        The cores in order, detached, of the dtype and device of the matrix, and their sizes.

    Raises:
        Refusal: If the factors do not multiply to the matrix's sides or differ in number, or
            max_bond is below 1.

    Example:
        >>> two = torch.kron(torch.ones(2, 3), torch.eye(2))
        >>> cores, shape = from_matrix(two, (2, 2), (3, 2), cutoff=1e-6)
        >>> shape.bonds
        (1, 1, 1)

    Source:
        Oseledets 2011, SIAM J. Sci. Comput. 33, 2295, algorithm 1.
    """
    out_dims, in_dims = tuple(out_dims), tuple(in_dims)
    rows, columns = matrix.shape
    check_factors(out_dims, rows, len(in_dims), "out_dims", "rows")
    check_factors(in_dims, columns, len(out_dims), "in_dims", "columns")
    if max_bond is not None and max_bond < 1:
        raise Refusal(f"max_bond must be at least 1, got {max_bond}.")
    parts = _split_sites(matrix.detach().double().cpu(), out_dims, in_dims, max_bond, cutoff)
    bonds = (1, *[part.shape[-1] for part in parts])
    shape = MpoShape(in_dims, out_dims, bonds)
    cores = [
        part.permute(1, 3, 0, 2).reshape(core_shape).to(matrix)
        for part, core_shape in zip(parts, shape.core_shapes, strict=True)
    ]
    return cores, shape


def _split_sites(
    matrix: Tensor, out_dims: tuple, in_dims: tuple, max_bond: int | None, cutoff: float
) -> list[Float[Tensor, "left out in right"]]:
    """Split the matrix site by site with tensornetwork; singular values move to the right."""
    import tensornetwork as tn

    n_sites = len(in_dims)
    pairs = [axis for k in range(n_sites) for axis in (k, n_sites + k)]
    tensor = matrix.reshape(*out_dims, *in_dims).permute(pairs).numpy()
    parts, left = [], 1
    for o, i in zip(out_dims[:-1], in_dims[:-1], strict=True):
        rest = tn.Node(tensor.reshape(left * o * i, -1), backend="numpy")
        u, s, vh, _ = tn.split_node_full_svd(
            rest,
            left_edges=[rest[0]],
            right_edges=[rest[1]],
            max_singular_values=max_bond,
            max_truncation_err=None,
        )
        values = s.tensor.diagonal()
        bond = max(1, int((values > cutoff * values[0]).sum()))
        parts.append(torch.from_numpy(u.tensor[:, :bond].copy()).reshape(left, o, i, bond))
        tensor, left = values[:bond, None] * vh.tensor[:bond], bond
    last = torch.from_numpy(tensor.copy()).reshape(left, out_dims[-1], in_dims[-1], 1)
    return [*parts, last]

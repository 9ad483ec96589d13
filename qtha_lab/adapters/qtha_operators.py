"""QTHA's outer maps around the bottleneck, and their initialisations."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Layer, TensorSpec
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise

STARTS = ("balanced", "gradient", "isometric", "paper")
BALANCED = ("balanced", "gradient")


def start_maps(
    start: str, tensors: Mapping[str, Tensor], widening: float, z_rms: float, multiplied: bool
) -> None:
    """Fill those of A, B, W_c and W_q that exist; B is not zero yet.

    Args:
        start: One of `STARTS`.
        tensors: Tensors of one layer.
        widening: Factor of M_A on a root mean square; 1 without M_A.
        z_rms: Target root mean square of z for a balanced initialisation.
        multiplied: Whether the branches are multiplied instead of added.
    """
    alone = "W_c" not in tensors or multiplied  # then W_q gives all of z, or a factor of z
    rms = {"A": 1 / widening, "B": 1.0, "W_c": z_rms, "W_q": 1.0 if alone else z_rms}
    for name in filter(tensors.__contains__, rms):
        if start in BALANCED:
            uniform_(tensors[name], rms[name] / math.sqrt(tensors[name].shape[1]))
        else:
            torch.nn.init.kaiming_uniform_(tensors[name], a=0)


def start_operator(start: str, cores: list[Tensor], shape: mpo.MpoShape, rms: float) -> None:
    """Fill the cores of M_A or M_B."""
    if start == "paper":
        mpo.kaiming_(cores)
        return
    mpo.balanced_(cores, shape)
    if start in BALANCED:
        norm = rms * math.sqrt(shape.out_features)
        factor = (norm / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
        for core in cores:
            core.mul_(factor)


@torch.no_grad()
def initialise_input_side(
    a: Float[Tensor, "r waist"],
    cores: list[Tensor],
    shape: mpo.MpoShape,
    rows: Float[Tensor, "r in_features"],
) -> None:
    """Fit A · M_A to rows by TT-SVD and least squares.

    M_A is the truncated tensor train of A⁺ · rows; then A is fitted to the rows for this M_A. M_A
    keeps its norm, and so the balance with A. A bond may be wider than the truncated one can fill.
    Then one side of the surplus is zero and the other keeps its values, so that the surplus can be
    trained.

    Source:
        TT-SVD: Oseledets 2011, algorithm 1. The fit is ours [R].
    """
    norm, target = mpo.norm(cores, shape), torch.linalg.pinv(a.double()) @ rows.double()
    cut, cut_shape = mpo.from_matrix(target, shape.out_dims, shape.in_dims, max(shape.bonds))
    for k, (core, part) in enumerate(zip(cores, cut, strict=True)):
        (left, right), (less_left, less_right) = (s.bonds[k : k + 2] for s in (shape, cut_shape))
        whole = core.view(shape.out_dims[k], right, left, shape.in_dims[k])
        whole[:, less_right:] = 0
        whole[:, :less_right, :less_left] = part.view(
            shape.out_dims[k], less_right, less_left, shape.in_dims[k]
        )
    factor = (norm / mpo.norm(cores, shape)) ** (1 / shape.n_sites)
    for core in cores:
        core.mul_(factor)
    dense = mpo.dense([core.double() for core in cores], shape)
    a.copy_(rows.double() @ torch.linalg.pinv(dense))


def uniform_(tensor: Tensor, std: float) -> None:
    """Fill with a zero-mean uniform distribution of the given standard deviation."""
    tensor.uniform_(-std * math.sqrt(3), std * math.sqrt(3))


class OuterMaps(ABC):
    """Maps before A and after B.

    Attributes:
        inner: Number of inputs of A and outputs of B.
        widening: Factor of the map before A on a root mean square, for a balanced initialisation.
        rescales: Whether the map after B can compensate the norm of B's input.
        kind: Key that is equal for maps of equal sizes.
    """

    inner: tuple[int, int]
    widening: float = 1.0
    rescales: bool = False
    n_parameters: int = 0
    kind: Hashable = None

    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the maps' tensors."""
        return {}

    @abstractmethod
    def start(self, tensors: Mapping[str, Tensor], rms: tuple[float, float]) -> None:
        """Initialise the maps' tensors in place.

        Args:
            tensors: Tensors of one layer; A and B are already initialised.
            rms: Root mean squares of the two maps' outputs for inputs of unit variance, if
                balanced.
        """

    @abstractmethod
    def initialise_input_side(
        self, tensors: Mapping[str, Tensor], rows: Float[Tensor, "r in_features"]
    ) -> None:
        """Fit A and the map before it to rows, in place."""

    def around(
        self,
        first: Float[Tensor, "*layers r waist"],
        last: Float[Tensor, "*layers z waist"],
        tensors: Mapping[str, Tensor],
    ) -> tuple[Float[Tensor, "*layers r in_features"], Float[Tensor, "*layers z out_features"]]:
        """Multiply the maps into the factors at the waist.

        Returns the factor of an input and the factor of z; without maps the factors are unchanged.

        Args:
            first: A.
            last: Transpose of B, or a multiple.
            tensors: Tensors of one layer by name, or of several, stacked.
        """
        return first, last

    def alone(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"], scale: float
    ) -> Float[Tensor, "*batch out_features"]:
        """Compute s · M_B M_A x, without a bottleneck.

        Args:
            tensors: Tensors of one layer, by name.
            x: Input of the layer.
            scale: s, alpha / r.
        """
        raise NotImplementedError("without tensor networks nothing is left but the bottleneck")

    def operators(
        self, tensors: Mapping[str, Tensor]
    ) -> dict[str, tuple[list[Tensor], mpo.MpoShape]]:
        """Return cores and shape of the tensor networks, by name."""
        return {}


class Direct(OuterMaps):
    """No outer maps: A reads the layer's input and B writes its output."""

    def __init__(self, layer: Layer, init_scale: float = 1.0):
        self.inner = (layer.in_features, layer.out_features)
        self.init_scale = init_scale

    def start(self, tensors, rms):
        tensors["A"].mul_(self.init_scale)

    def initialise_input_side(self, tensors, rows):
        tensors["A"].copy_(rows)


class Operators(OuterMaps):
    """Matrix product operators M_A (in → waist) and M_B (waist → out)."""

    rescales = True

    def __init__(self, config: Any, layer: Layer):
        self.down, self.up = operator_shapes(
            layer.in_features,
            layer.out_features,
            config.waist,
            config.bond_dim,
            config.n_sites,
            config.in_dims,
            config.out_dims,
        )
        self.inner, self.kind = (config.waist, config.waist), (self.down, self.up)
        self.widening = layer.in_features / config.waist
        self.n_parameters = self.down.n_parameters + self.up.n_parameters
        self.init, self.init_scale = config.init, config.init_scale
        self.core_names = tuple(self.tensors())

    def tensors(self) -> dict[str, TensorSpec]:
        return {
            f"mpo_{side}_{k}": TensorSpec(core)
            for side, shape in (("in", self.down), ("out", self.up))
            for k, core in enumerate(shape.core_shapes)
        }

    def start(self, tensors, rms):
        for side, shape, size in (("in", self.down, rms[0]), ("out", self.up, rms[1])):
            cores = cores_of(tensors, side)
            start_operator(self.init, cores, shape, size)
            cores[0].mul_(self.init_scale)

    def initialise_input_side(self, tensors, rows):
        initialise_input_side(tensors["A"], cores_of(tensors, "in"), self.down, rows)

    def around(self, first, last, tensors):
        """Compute A · M_A and (M_B · B)ᵀ."""
        return (
            mpo.apply_transposed(cores_of(tensors, "in"), self.down, first),
            mpo.apply(cores_of(tensors, "out"), self.up, last),
        )

    def alone(self, tensors, x, scale):
        waist = mpo.apply(cores_of(tensors, "in"), self.down, x)
        return mpo.apply(cores_of(tensors, "out"), self.up, waist * scale)

    def operators(self, tensors):
        return {
            "M_A": (cores_of(tensors, "in"), self.down),
            "M_B": (cores_of(tensors, "out"), self.up),
        }


def cores_of(tensors: Mapping[str, Tensor], side: str) -> list[Tensor]:
    """Return the cores of M_A ("in") or M_B ("out") among a layer's tensors."""
    prefix = f"mpo_{side}_"
    return [tensor for name, tensor in tensors.items() if name.startswith(prefix)]


@functools.lru_cache(maxsize=4096)
def operator_shapes(in_features, out_features, waist, bond_dim, n_sites, in_dims, out_dims):
    """Return the shapes of M_A and M_B at a layer of this size."""
    ins = factorise(in_features, n_sites, in_dims)
    outs = factorise(out_features, n_sites, out_dims, name="out_dims", size_name="out_features")
    waists = factorise(waist, n_sites, size_name="waist")
    return (
        mpo.MpoShape.uniform(ins, waists, bond_dim),
        mpo.MpoShape.uniform(waists, outs, bond_dim),
    )

"""QTHA's outer maps around the bottleneck, as tensor networks or direct."""

import functools
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import Layer, TensorSpec
from qtha_lab.adapters.initialisation.qtha import initialise_input_side, start_operator
from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import factorise


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
    """Return the shapes of M_A and M_B at a layer of this size.

    Args:
        in_features: Inputs of the layer.
        out_features: Outputs of the layer.
        waist: Size between the two operators.
        bond_dim: Bond dimension of both.
        n_sites: Number of cores of each.
        in_dims: Factors of `in_features`, or None to choose them.
        out_dims: Factors of `out_features`, or None to choose them.
    """
    ins = factorise(in_features, n_sites, in_dims)
    outs = factorise(out_features, n_sites, out_dims, name="out_dims", size_name="out_features")
    waists = factorise(waist, n_sites, size_name="waist")
    return (
        mpo.MpoShape.uniform(ins, waists, bond_dim),
        mpo.MpoShape.uniform(waists, outs, bond_dim),
    )

"""QTHA's bottleneck: A down to r numbers h, a map to z, and B.

z is h alone, or combines two branches.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.adapters.change import CachedDelta, TensorSpec, n_trained
from qtha_lab.adapters.qtha_branches import branch_of
from qtha_lab.adapters.qtha_operators import start_maps
from qtha_lab.circuits import Circuit


class Bottleneck(ABC):
    """Tensors A and B with the map between them; B reads `z_size` numbers.

    Attributes:
        wide: Whether z has more numbers than h; B then reads them directly.
    """

    wide: bool = False

    def __init__(self, config: Any, inner: tuple[int, int]):
        self.config, self.inner, self.z_size = config, inner, config.r

    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of A, B and the tensors between them."""
        ends = {
            "A": TensorSpec((self.config.r, self.inner[0])),
            "B": TensorSpec((self.inner[1], self.z_size)),
        }
        return ends | self.between()

    def between(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the tensors between A and B."""
        return {}

    def n_parameters(self) -> int:
        """Count the trainable parameters by the formula."""
        return self.config.r * self.inner[0] + self.z_size * self.inner[1]

    @abstractmethod
    def start(self, tensors: Mapping[str, Tensor], widening: float, rescaled: bool) -> None:
        """Initialise A, B and the tensors between them in place; B is not zero yet.

        Args:
            tensors: Tensors of one layer.
            widening: Factor of the map before A on a root mean square.
            rescaled: Whether the map after B compensates the norm of z.
        """

    @abstractmethod
    def z(
        self, tensors: Mapping[str, Tensor], h: Float[Tensor, "*batch r"]
    ) -> Float[Tensor, "*batch z"]:
        """Compute z, the input of B."""

    def before_maps(
        self, tensors: Mapping[str, Tensor], h: Float[Tensor, "*batch r"]
    ) -> Float[Tensor, "*batch rows"]:
        """Compute the values from which linear maps give z.

        `through_maps` contains these maps.
        """
        return self.z(tensors, h)

    def map_names(self) -> tuple[str, ...]:
        """Return names of these maps."""
        return ()

    def through_maps(
        self, last: Float[Tensor, "*layers z out_features"], tensors: Mapping[str, Tensor]
    ) -> Float[Tensor, "*layers rows out_features"]:
        """Multiply the linear maps into the matrix after z.

        So a token needs no separate products for them.
        """
        return last

    def cached_delta(
        self,
        first: Float[Tensor, "in_features r"],
        tensors: Mapping[str, Tensor],
        last: Float[Tensor, "rows out_features"],
    ) -> CachedDelta:
        """Return (x, y) ↦ y + `before_maps`(x · first) · last for frozen tensors.

        Args:
            first: Factor of x.
            tensors: Tensors of one layer; must stay unchanged.
            last: Result of `through_maps`.
        """
        return lambda x, before: before + self.before_maps(tensors, x @ first) @ last

    def circuits(self) -> list[Circuit]:
        """Return the circuits of the bottleneck."""
        return []

    def linear_path(self, tensors: Mapping[str, Tensor]) -> Float[Tensor, "z r"] | None:
        """Return W if z has a linear part W · h, else None."""
        return None


class LowRank(Bottleneck):
    """Plain LoRA: z = h, with PEFT's initialisation."""

    def start(self, tensors, widening, rescaled):
        for name in ("A", "B"):
            torch.nn.init.kaiming_uniform_(tensors[name], a=math.sqrt(5))

    def z(self, tensors, h):
        return h


class LinearBranch(Bottleneck):
    """Linear branch alone: z = W_c h."""

    def between(self) -> dict[str, TensorSpec]:
        return {"W_c": TensorSpec((self.z_size, self.config.r))}

    def n_parameters(self) -> int:
        return super().n_parameters() + self.config.r * self.z_size

    def start(self, tensors, widening, rescaled):
        start_maps(self.config.init, tensors, widening, 1 / math.sqrt(self.z_size), False)

    def z(self, tensors, h):
        return torch.nn.functional.linear(h, tensors["W_c"])

    def before_maps(self, tensors, h):
        return h

    def map_names(self):
        return ("W_c",)

    def through_maps(self, last, tensors):
        return tensors["W_c"].mT @ last

    def linear_path(self, tensors):
        return tensors["W_c"]


class Parts(NamedTuple):
    """Values of the two branches for some inputs.

    Attributes:
        angles: Inputs of the circuit, (*batch, r) in radians.
        q: Outputs of the circuit.
        mixed: Contribution to B's input: W_q q, or q itself.
        linear: W_c h; None without a linear branch.
    """

    angles: Tensor
    q: Tensor
    mixed: Tensor
    linear: Tensor | None


class Branches(Bottleneck):
    """Non-linear branch W_q q(h), alone or combined with W_c h.

    q comes from a circuit or a classical control. Wide read-outs go directly to B; SiLU layers and
    a bias replace W_q.
    """

    def __init__(self, config: Any, inner: tuple[int, int]):
        super().__init__(config, inner)
        self.branch = branch_of(config)
        self.wide = config.readout != "z"
        self.z_size = self.branch.size if self.wide else config.r
        self.mixes = not self.wide and self.branch.mixed  # W_q exists
        self.multiplied = config.fusion == "hadamard"

    def between(self) -> dict[str, TensorSpec]:
        r, specs = self.config.r, {}
        if self.config.use_linear:
            specs["W_c"] = TensorSpec((self.z_size, r))
        if self.mixes:
            specs["W_q"] = TensorSpec((r, r))
        return specs | self.branch.tensors()

    def n_parameters(self) -> int:
        r = self.config.r
        mixing = r * self.z_size * self.config.use_linear + r**2 * self.mixes
        return super().n_parameters() + mixing + n_trained(self.branch.tensors().values())

    def start(self, tensors, widening, rescaled):
        z_rms = 1.0 if rescaled else 1 / math.sqrt(self.z_size)
        start_maps(self.config.init, tensors, widening, z_rms, self.multiplied)
        self.branch.initialise(tensors)

    def z(self, tensors, h):
        mixed = self._mixed(tensors, self.branch.apply(tensors, h))
        if (linear := self._linear(tensors, h)) is None:
            return mixed
        return mixed * linear if self.multiplied else mixed + linear

    def cached_delta(self, first, tensors, last):
        """Multiply the maps after q and h into the matrix, unless the branches are multiplied."""
        if self.multiplied and self.config.use_linear:
            return super().cached_delta(first, tensors, last)
        parts = [tensors["W_q"].mT @ last if self.mixes else last]
        if self.config.use_linear:
            parts.append(tensors["W_c"].mT @ last)
        return self.branch.cached_delta(first, tensors, torch.cat(parts))

    def parts(self, tensors: Mapping[str, Tensor], h: Float[Tensor, "*batch r"]) -> Parts:
        """Compute the two branches of z."""
        q = self.branch.apply(tensors, h)
        mixed, linear = self._mixed(tensors, q), self._linear(tensors, h)
        return Parts(h * self.config.input_scale, q, mixed, linear)

    def _mixed(self, tensors: Mapping[str, Tensor], q: Tensor) -> Tensor:
        return torch.nn.functional.linear(q, tensors["W_q"]) if self.mixes else q

    def _linear(self, tensors: Mapping[str, Tensor], h: Tensor) -> Tensor | None:
        return torch.nn.functional.linear(h, tensors["W_c"]) if self.config.use_linear else None

    def circuits(self) -> list[Circuit]:
        return self.config.circuits()

    def linear_path(self, tensors):
        return tensors["W_c"] if self.config.use_linear and not self.multiplied else None

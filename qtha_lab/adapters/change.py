"""Change of a layer's output by a method: tensors, initial values and equation.

Registration, options and placement are in `method`.
"""

import dataclasses
import functools
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from qtha_lab.core.errors import Refusal


@dataclasses.dataclass(frozen=True)
class Layer:
    """Adapted layer: sizes, position in the model, and the other adapted layers.

    Args:
        in_features: Inputs per token; for a convolution, per patch (channels times kernel).
        out_features: Outputs per token or patch.
        name: Name of the module in the model.
        block: Index of its transformer block.
        n_blocks: Number of transformer blocks.
        index: Index among the adapted layers, in the model's order.
        sizes: (in_features, out_features) of all adapted layers; by default of this layer alone.
    """

    in_features: int
    out_features: int
    name: str = ""
    block: int | None = None
    n_blocks: int | None = None
    index: int = 0
    sizes: tuple[tuple[int, int], ...] = dataclasses.field(default=(), repr=False)

    def __post_init__(self):
        if not self.sizes:
            object.__setattr__(self, "sizes", ((self.in_features, self.out_features),))

    def check_rank(self, r: int) -> None:
        """Refuse an r above the smaller size of the layer.

        Raises:
            Refusal: If r exceeds `in_features` or `out_features`.
        """
        most = min(self.in_features, self.out_features)
        if r > most:
            raise Refusal(
                f"r must be at most {most} for a layer of {self.in_features} inputs and "
                f"{self.out_features} outputs, got {r}."
            )


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Shape of a named tensor of a method; frozen tensors are saved, not trained."""

    shape: tuple[int, ...]
    trainable: bool = True


class Base:
    """Adapted layer without the adapter; weight and output are computed on first use.

    Args:
        weight: Function that returns the frozen weight, in the precision of the change.
        output: Function that returns the layer's output for the current input, without bias.
    """

    def __init__(self, weight: Callable[[], Tensor], output: Callable[[], Tensor]):
        self._weight, self._output = weight, output

    @functools.cached_property
    def weight(self) -> Float[Tensor, "out_features in_features"]:
        """Frozen weight; a quantised weight is dequantised."""
        return self._weight()

    @functools.cached_property
    def output(self) -> Float[Tensor, "*batch out_features"]:
        """Product weight · x, without the bias."""
        return self._output()

    @classmethod
    def of(cls, weight: Float[Tensor, "out_features in_features"], x: Tensor) -> "Base":
        """Build the base from a given weight and input."""
        return cls(lambda: weight, lambda: torch.nn.functional.linear(x, weight))


CachedDelta = Callable[[Tensor, Tensor], Tensor]


class Change(ABC):
    """Mathematics of one method at one layer: named tensors, and the change of the output.

    Holds plain data only, since it is copied and pickled with the model; the tensors are in the
    PEFT layer. `small_first_step` names the option whose first step is about as large as LoRA's, if
    one exists. `delta` may have a third parameter `base`, the layer without the adapter.
    `shared_tensors` names tensors that several layers use, and `initialise_shared` fills them.
    """

    small_first_step: str = ""

    def __init__(self, config: Any, layer: Layer):
        self.config = config
        self.layer = layer

    @classmethod
    def is_linear(cls, config: Any) -> bool:
        """Return True if the change is W · x with one constant, mergeable matrix W.

        An affine change W · x + b with nonzero b is not linear.
        """
        return True

    @abstractmethod
    def tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the layer's own tensors; a name has no dot."""

    def shared_tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of the tensors shared with other layers.

        Optional. Every layer with the same name in this dictionary uses the same tensor, which is
        stored, saved and counted once per adapter.
        """
        return {}

    @abstractmethod
    def initialise(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the layer's own tensors in place.

        The initial change is zero, unless `init_weights` is False.
        """

    def initialise_shared(self, tensors: Mapping[str, Tensor]) -> None:
        """Fill the shared tensors that this layer is the first to name.

        Required if there are any.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has shared_tensors and fills none of them"
        )

    def start_from(self, tensors: Mapping[str, Tensor], samples: Sequence[Any]) -> None:
        """Initialise from training rows; required if the config has `start_rows`.

        Args:
            tensors: Own and shared tensors by name, already filled at random.
            samples: `from_data.LayerSample` of this layer, or of all layers that share its tensors.
        """
        raise NotImplementedError(f"{type(self).__name__} has start_rows and reads none")

    def start_from_weight(  # noqa: B027, optional
        self,
        tensors: Mapping[str, Tensor],
        weight: Callable[[], Float[Tensor, "out_features in_features"]],
    ) -> None:
        """Initialise from the frozen weight. Optional.

        Args:
            tensors: The layer's own tensors by name, already filled at random.
            weight: Function that returns the weight in float32, dequantised if it is quantised.
        """

    def sampled_with(self) -> Hashable:
        """Return a key that is equal for layers whose samples initialise the same tensors.

        Layers that share tensors are sampled together by input size, unless a method overrides it.
        """
        return self.layer.in_features if self.shared_tensors() else self.layer.name

    @abstractmethod
    def n_parameters(self) -> int:
        """Count the layer's own trainable parameters, by the method's formula."""

    @abstractmethod
    def delta(
        self, tensors: Mapping[str, Tensor], x: Float[Tensor, "*batch in_features"]
    ) -> Float[Tensor, "*batch out_features"]:
        """Compute the change of the layer's output for the input x (float32 or float64).

        Args:
            tensors: Own and shared tensors by name.
            x: Input of the layer; for a convolution, its patches.

        A method that declares a third parameter also receives the `Base`.
        """

    def angle_circuits(self) -> Mapping[str, Sequence[Any]]:
        """Return the circuits of each tensor of angles, in the order of their angles.

        Optional: enables the setting `angles` (`qtha_lab.adapters.initialisation.angles`), which
        overrides the angles of `initialise`.
        """
        return {}

    def follow_angles(self, tensors: Mapping[str, Tensor]) -> None:  # noqa: B027  optional
        """Recompute tensors that depend on the initial angles, after the angles changed.

        Most methods have no such tensors.
        """

    def product_sources(self) -> tuple[str, ...]:
        """Return names of the tensors that `products` uses; empty without products."""
        return ()

    def product_kind(self) -> Hashable:
        """Return a key that is equal for layers with the same computation of products."""
        return None

    def products(
        self, tensors: Mapping[str, Float[Tensor, "layers *shape"]]
    ) -> dict[str, Float[Tensor, "layers *product"]]:
        """Compute token-independent products of tensors, for all layers of one kind at once.

        Optional, with `product_sources`. Products are computed once per step, or once per generated
        answer. `delta` then receives the products in place of their sources. If it receives the
        sources, it computes the products itself by `own_products`.

        Args:
            tensors: Stacked sources by name; one large operation costs less than many small ones.

        Returns:
            Stacked products by name, differentiable in the sources.
        """
        return {}

    def own_products(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Compute the products of this layer alone."""
        stacked = {name: tensors[name].unsqueeze(0) for name in self.product_sources()}
        return {name: product.squeeze(0) for name, product in self.products(stacked).items()}

    def cached_delta(self, tensors: Mapping[str, Tensor], factor: float) -> CachedDelta | None:
        """Return a function that adds `delta` for generated tokens, with fixed tensors.

        Optional: token-independent parts are computed once, which reduces the overhead of small
        products.

        Args:
            tensors: Tensors as for `delta`, with the products; the function may hold copies.
            factor: Factor on the change.

        Returns:
            A function of x (tokens, 1, in_features) and of the output (tokens, 1, out_features) to
            which the change is added. It runs without gradients and changes neither argument. None
            to use `delta`.
        """
        return None

    def delta_weight(
        self, tensors: Mapping[str, Tensor], base: Any = None
    ) -> Float[Tensor, "out_features in_features"]:
        """Compute the change as a matrix, for a linear method.

        An override may omit the parameter `base`.
        """
        tensor = next(iter(tensors.values()))
        identity = torch.eye(self.layer.in_features, dtype=tensor.dtype, device=tensor.device)
        if base is None or not self.reads_base():
            return self.delta(tensors, identity).mT
        weight = base.weight
        return self.output(tensors, identity, Base(lambda: weight, lambda: weight.mT)).mT

    @classmethod
    def reads_base(cls) -> bool:
        """Return True if `delta` declares a third parameter."""
        return _n_arguments(cls.delta) > 3

    def output(self, tensors: Mapping[str, Tensor], x: Tensor, base: Base) -> Tensor:
        """Call `delta`, with the base if it declares one.

        Args:
            tensors: Own and shared tensors by name.
            x: Input of the layer, (*batch, in_features); for a convolution, its patches.
            base: Layer without the adapter.

        Returns:
            Change of the layer's output, (*batch, out_features).
        """
        delta: Callable[..., Tensor] = self.delta
        return delta(tensors, x, base) if self.reads_base() else delta(tensors, x)

    def matrix(self, tensors: Mapping[str, Tensor], base: Base) -> Tensor:
        """Call `delta_weight`, with the base if it declares one."""
        whole: Callable[..., Tensor] = self.delta_weight
        reads = _n_arguments(type(self).delta_weight) > 2
        return whole(tensors, base) if reads else whole(tensors)

    def all_tensors(self) -> dict[str, TensorSpec]:
        """Return names and shapes of own and shared tensors."""
        separate, shared = self.tensors(), self.shared_tensors()
        for name in (*separate, *shared):
            if not str(name).isidentifier():
                raise Refusal(
                    f"The name of a tensor must be an identifier without a dot, got {name!r}. "
                    "Rename it."
                )
        if names := separate.keys() & shared.keys():
            raise Refusal(
                f"A tensor must be a layer's own or a shared one, got {min(names)!r} as both. "
                "Rename one."
            )
        return separate | shared

    def joins(self, before: "Change") -> tuple[str, ...]:
        """Name tensors that must be zero until a later phase trains its added parts.

        Optional, for methods whose settings leave parts out (`phases`). `before` is the change of
        the earlier phase; a zero tensor makes the change continuous.
        """
        more = self.all_tensors().keys() - before.all_tensors().keys()
        if more:
            raise Refusal(
                f"A later phase of method {self.config.method_name} must not add "
                f"{', '.join(sorted(more))}, because the output would change at once."
            )
        return ()

    def start(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Make and initialise all tensors, as at a single layer."""
        tensors = {n: torch.empty(s.shape, dtype=dtype) for n, s in self.all_tensors().items()}
        with torch.no_grad():
            if shared := self.shared_tensors():
                self.initialise_shared({name: tensors[name] for name in shared})
            self.initialise({name: tensors[name] for name in self.tensors()})
        return tensors

    def linear_factors(self, tensors: Mapping[str, Tensor]) -> tuple[Tensor, ...] | None:
        """Return thin matrices whose product is the linear part of the change, or None.

        Optional: analyses compute ranks from the factors, without the product or a circuit.
        """
        return None

    def operators(self, tensors: Mapping[str, Tensor]) -> dict[str, tuple[list[Tensor], Any]]:
        """Return cores and `mpo.MpoShape` of the matrix product operators, by name.

        Optional: analyses compute bond dimensions and entanglement from them.
        """
        return {}

    def circuits(self) -> list[Any]:
        """Return all circuits of this layer.

        They run once per token if they read data, else once per step.
        """
        return []

    @classmethod
    def nonlinear_reason(cls, config: Any) -> str:
        """Explain why the change cannot be merged, with a remedy, for the error message."""
        return "its change is not one constant matrix"


@torch.compiler.assume_constant_result
def _n_arguments(function: Callable) -> int:
    return _counted_arguments(function)


@functools.cache
def _counted_arguments(function: Callable) -> int:
    return len(inspect.signature(function).parameters)


def n_trained(specs: Iterable[TensorSpec]) -> int:
    """Count the numbers in the trained tensors.

    Example:
        >>> n_trained([TensorSpec((2, 3)), TensorSpec((5,), trainable=False)])
        6
    """
    return sum(math.prod(spec.shape) for spec in specs if spec.trainable)

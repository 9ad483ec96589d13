"""Float64 updates x ↦ Δy of an adapter at every adapted layer of a model.

One interface for the methods of this package and of PEFT. `views` computes ranks and spectra;
`activations` records the inputs.
"""

import copy
import dataclasses
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn

from qtha_lab.adapters.change import Base
from qtha_lab.adapters.initialisation.lora import subtracted_product
from qtha_lab.adapters.peft import AdapterLayer, as_matrix, block_of, quantised_kind
from qtha_lab.analysis.updates.sketch import Operator
from qtha_lab.core.errors import Refusal

if TYPE_CHECKING:

    class AdaptedLayer(nn.Module, BaseTunerLayer):
        """Layer with adapters: PEFT's mixin on a module with two sizes."""

        in_features: int
        out_features: int
else:
    AdaptedLayer = BaseTunerLayer

Delta = Callable[[Float[Tensor, "tokens in_features"]], Float[Tensor, "tokens out_features"]]
NO_CURVATURE = (
    1e-8  # of f(x + y) - f(x) - f(y), relative: float64 rounding of a linear f is smaller
)


@dataclasses.dataclass(frozen=True)
class Update:
    """Change of one layer's output by one adapter.

    Attributes:
        name: Name of the layer, as in the base model.
        block: Index of the layer's transformer block, if any.
        delta: x (tokens, in_features) ↦ Δy (tokens, out_features), differentiable in x, float64, on
            the CPU.
        is_linear: True if Δy is one constant matrix times x.
        factors: Thin matrices whose product is the linear path, if the method has them.
    """

    name: str
    block: int | None
    in_features: int
    out_features: int
    delta: Delta
    is_linear: bool
    factors: tuple[Float[Tensor, "rows cols"], ...] | None

    def linear_operator(self) -> "LinearMap":
        """Return a linear update as an operator.

        Raises:
            Refusal: If the update is not linear in x.
        """
        if not self.is_linear:
            raise Refusal(
                f"An update must be linear in x to have one matrix, got {self.name}. Pass "
                "tokens x instead."
            )
        return LinearMap(self.delta, self.in_features, self.out_features)

    def linear_path(self) -> Float[Tensor, "out_features in_features"] | None:
        """Return ΔW of the linear part as a stored matrix; None without one."""
        if self.factors is not None:
            return torch.linalg.multi_dot(self.factors)
        if not self.is_linear:
            return None
        with torch.no_grad():
            return self.delta(torch.eye(self.in_features, dtype=torch.float64)).mT


class LinearMap(Operator):
    """Linear function of row vectors as an operator.

    It has out_features rows and in_features columns.
    """

    def __init__(self, function: Delta, in_features: int, out_features: int, dtype=torch.float64):
        self.function, self.dtype = function, dtype
        self.shape = (out_features, in_features)

    def products(self, x):
        with torch.no_grad():
            yield self.function(x.mT.to(self.dtype)).mT.double()

    def gram(self, x):
        point = torch.zeros(x.shape[1], self.shape[1], dtype=self.dtype, requires_grad=True)
        with torch.enable_grad():
            value = self.function(point)
        (image,) = self.products(x)
        if not value.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(value, point, image.mT.to(value))[0].mT.double()


def adapted_layers(model: nn.Module) -> dict[str, AdaptedLayer]:
    """Return the adapted layers by their names in the base model, in order.

    Raises:
        Refusal: If the model has no adapter.
    """
    layers = {
        name.removeprefix("base_model.model."): cast(AdaptedLayer, module)
        for name, module in model.named_modules()
        if isinstance(module, BaseTunerLayer)
    }
    if not layers:
        raise Refusal(
            f"The model must carry an adapter, got {type(model).__name__} without one. Add one "
            "first."
        )
    return layers


def updates_of(
    model: nn.Module, adapter: str | None = None, layers: Collection[str] | None = None
) -> Iterator[Update]:
    """Yield the update of an adapter at each layer, one float64 copy at a time.

    Args:
        model: Model with the adapter, not merged.
        adapter: Name of the adapter; None uses the active one.
        layers: Names of layers; None uses all.

    Raises:
        Refusal: If a layer or the adapter is unknown, or merged into the weights.

    Example:
        >>> from peft import LoraConfig, get_peft_model
        >>> from qtha_lab import load_model
        >>> config = LoraConfig(r=2, target_modules=["q_proj"])
        >>> model = get_peft_model(load_model("tiny").model, config)
        >>> update = next(updates_of(model))
        >>> update.name, update.is_linear, [tuple(factor.shape) for factor in update.factors]
        ('model.layers.0.self_attn.q_proj', True, [(192, 2), (2, 192)])
    """
    for name, module in chosen_layers(model, layers).items():
        yield update_of(module, name, adapter_name(module, adapter, name))


def chosen_layers(model: nn.Module, layers: Collection[str] | None) -> dict[str, AdaptedLayer]:
    """Return the adapted layers of these names; all if None.

    Raises:
        Refusal: If the model has no adapter, or no adapted layer of a name.
    """
    adapted = adapted_layers(model)
    if layers is None:
        return adapted
    unknown = [name for name in layers if name not in adapted]
    if unknown:
        raise Refusal(
            f"Layers must be adapted, got {unknown[0]!r}. Adapted layers: {', '.join(adapted)}"
        )
    return {name: module for name, module in adapted.items() if name in layers}


def adapter_name(module: AdaptedLayer, adapter: str | None, layer: str) -> str:
    """Return the selected adapter name, checked to be on this layer and not merged.

    Args:
        module: The layer.
        adapter: Requested name; None uses the active one.
        layer: Name of the layer, for the error message.

    Raises:
        Refusal: If the adapter is not on this layer, or merged.
    """
    names = available_adapters(module)
    name_in_use = adapter or next((name for name in module.active_adapters if name in names), None)
    if name_in_use not in names:
        raise Refusal(
            f"adapter must be on {layer}, got {name_in_use!r}. The layer has "
            f"{', '.join(sorted(names)) or 'none'}."
        )
    if name_in_use in module.merged_adapters:
        raise Refusal(
            f"adapter must not be merged into {layer}, got {name_in_use!r}. Unmerge it first."
        )
    return name_in_use


def available_adapters(module: AdaptedLayer) -> set[str]:
    """Return the names of all adapters of a layer."""
    if isinstance(module, AdapterLayer):
        return set(module.changes)
    groups = (getattr(module, name) for name in module.adapter_layer_names)
    mappings = (tensors for tensors in groups if hasattr(tensors, "keys"))
    return {key for tensors in mappings for key in tensors.keys()}  # noqa: SIM118


def update_of(module: AdaptedLayer, name: str, adapter: str) -> Update:
    """Return the update of an adapter at one layer, times the adapter's weight, if any.

    Args:
        module: The layer.
        name: The layer's name in the base model.
        adapter: The adapter's name.
    """
    sizes = (block_of(f".{name}."), module.in_features, module.out_features)
    if isinstance(module, AdapterLayer):
        change, tensors = module.changes[adapter], _in_float64(module.adapter_tensors(adapter))
        with torch.no_grad():
            factors = change.linear_factors(tensors)
        linear, weight = change.is_linear(change.config), module.factors[adapter]
        if factors is not None:
            factors = (weight * factors[0], *factors[1:])

        def scaled(x: Tensor) -> Tensor:
            base = Base(lambda: base_weight(module), lambda: x @ base_weight(module).mT)
            return weight * change.output(tensors, x, base)

        return Update(name, *sizes, scaled, linear, factors)
    factors = lora_factors(module, adapter)
    if factors is not None:
        up, down = (factor.detach().to("cpu", torch.float64) for factor in factors)
        return Update(name, *sizes, lambda x: x @ down.mT @ up.mT, True, (up, down))
    delta = difference(module, adapter)
    return Update(name, *sizes, delta, _is_linear(delta, module.in_features), None)


def lora_factors(module: AdaptedLayer, adapter: str) -> tuple[Tensor, Tensor] | None:
    """Return (scaling · B, A) of PEFT's plain LoRA; None for other methods.

    The part that the initialisation subtracted from the weight is subtracted here too.
    """
    if not isinstance(module, LoraLayer) or adapter not in module.lora_A:
        return None
    if adapter in module.lora_variant or module.lora_B[adapter].bias is not None:
        return None
    up, down = (cast(Tensor, part[adapter].weight) for part in (module.lora_B, module.lora_A))
    if (start := subtracted_product(module)) is not None:
        up, down = torch.cat([up, -start[1]], 1), torch.cat([down, start[0]])
    return up * module.scaling[adapter], down


def difference(module: AdaptedLayer, adapter: str) -> Delta:
    """Return the output change by the adapter in a float64 copy, for any method.

    Raises:
        Refusal: If the base is quantised and has no float64 copy.
    """
    kind = quantised_kind(module.get_base_layer())
    if kind is not None:
        raise Refusal(
            f"The base of {type(module).__name__} must not be quantised for a float64 copy, got "
            f"{kind}. Load the base without quantisation."
        )
    copied = copy.deepcopy(module).to("cpu", torch.float64).eval()
    copied.set_adapter([adapter])
    copied.enable_adapters(True)
    copied.requires_grad_(False)
    base = cast(nn.Module, copied.get_base_layer())
    return lambda x: copied(x) - base(x)


def base_weight(module: AdaptedLayer) -> Float[Tensor, "out_features in_features"]:
    """Return the frozen base weight in float64, dequantised if necessary."""
    base: Any = module.get_base_layer()
    weight = base.weight
    if quantised_kind(base) is not None:
        can = hasattr(weight, "dequantize")
        weight = weight.dequantize() if can else dequantize_module_weight(base)
    weight = weight.detach().to("cpu", torch.float64)
    return as_matrix(weight, base)


def _in_float64(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().to("cpu", torch.float64) for name, tensor in tensors.items()}


def _is_linear(delta: Delta, in_features: int) -> bool:
    """Return True if f(x + y) = f(x) + f(y) on two random vectors.

    Their length is about √in_features.
    """
    random = torch.Generator().manual_seed(0)
    x = torch.randn(2, in_features, generator=random, dtype=torch.float64)
    with torch.no_grad():
        joint, (first, second) = delta(x.sum(0, keepdim=True))[0], delta(x)
    scale = first.norm() + second.norm()
    return bool((joint - first - second).norm() <= NO_CURVATURE * scale.clamp_min(1e-12))

"""Adapters of any methods mixed by weights.

A layer returns y + Σ w_i (y_i - y). Here y is the base layer's output and y_i that with adapter i,
both for the same input. So the mixture is exact for every method. PEFT's `add_weighted_adapter`
adds tensors instead. That is not meaningful for an adapter whose change is not linear in its
tensors, such as a circuit's.
"""

import copy
import itertools
import math
from collections.abc import Mapping
from numbers import Real
from typing import TypeVar, cast

from peft import PeftModel
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn

from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown

Model = TypeVar("Model", bound=nn.Module)
PREFIX = "base_model.model."  # prefix of a module's name inside a PeftModel


class LayerMixture(nn.Module):
    """One layer of the base with the adapters that several models have there.

    Args:
        base_layer: The layer without adapters.
        layers: The same layer with each adapter, by the adapter's name.
        weights: Weights of the adapters by name; read at every forward pass.
    """

    def __init__(
        self, base_layer: nn.Module, layers: Mapping[str, nn.Module], weights: Mapping[str, float]
    ) -> None:
        super().__init__()
        self.base_layer, self.weights = base_layer, weights
        self.names, self.layers = list(layers), nn.ModuleList(layers.values())

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        """Return the base's output plus the weighted changes.

        A single adapter at weight 1 gives its own output bit for bit.
        """
        pairs = zip(map(self.weights.__getitem__, self.names), self.layers, strict=True)
        parts = [(weight, layer) for weight, layer in pairs if weight != 0]
        if len(parts) == 1 and parts[0][0] == 1:
            return parts[0][1](x, *args, **kwargs)
        base = self.base_layer(x, *args, **kwargs)
        change = sum(weight * (layer(x, *args, **kwargs) - base) for weight, layer in parts)
        return base + change


def mixture(base: Model, models: Mapping[str, PeftModel], weights: dict[str, float]) -> Model:
    """Build a model that adds the weighted changes of several adapters.

    Raises:
        Refusal: If an adapter replaces a whole module, or a weight is unknown or not finite.

    Example:
        >>> import torch
        >>> from peft import LoraConfig, get_peft_model
        >>> base, config = nn.Sequential(nn.Linear(2, 2)), LoraConfig(r=1, target_modules=["0"])
        >>> config.init_lora_weights = False
        >>> whole = get_peft_model(shared_weights_copy(base), config)
        >>> x, half = torch.ones(1, 2), mixture(base, {"a": whole}, {"a": 0.5})
        >>> torch.allclose(half(x), (base(x) + whole(x)) / 2)
        True
    """
    check_weights(weights, models)
    for name, model in models.items():
        if any(isinstance(module, AuxiliaryTrainingWrapper) for module in model.modules()):
            raise Refusal(
                f"Mixed adapters must not have modules_to_save, got adapter {name!r} with them."
            )
    layers: dict[str, dict[str, nn.Module]] = {}
    for name, model in models.items():
        for place, module in model.named_modules():
            if isinstance(module, BaseTunerLayer):
                layers.setdefault(place.removeprefix(PREFIX), {})[name] = cast(nn.Module, module)
    model = shared_weights_copy(base)
    for place, by_name in layers.items():
        model.set_submodule(place, LayerMixture(model.get_submodule(place), by_name, weights))
    return model


def check_weights(weights: Mapping[str, float], names: Mapping[str, object]) -> None:
    """Refuse weights that are missing, not finite, or of unknown adapters."""
    for name, weight in weights.items():
        if name not in names:
            raise unknown("adapter", str(name), names)
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise Refusal(
                f"The weight of adapter {name!r} must be a finite number, got {weight!r}."
            )
    if missing := [name for name in names if name not in weights]:
        raise Refusal(f"Adapter {missing[0]!r} has no weight. 0 excludes it.")


def shared_weights_copy(model: Model) -> Model:
    """Copy a model's modules, but share its tensors.

    Modules of the copy can be replaced without effect on the original. A write to a tensor of one
    model changes the other, so merge nothing into a copy.

    Example:
        >>> first = nn.Sequential(nn.Linear(2, 2))
        >>> second = shared_weights_copy(first)
        >>> second[0] is first[0], second[0].weight is first[0].weight
        (False, True)
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})

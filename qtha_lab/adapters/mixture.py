"""Weighted sum of several adapters: the change of a layer is Σ w_a Δ_a.

The weights use the factors that our layers and PEFT's LoRA, LoHa and LoKr have on their changes.
"""

import contextlib
import math
from collections.abc import Iterable, Mapping
from numbers import Real

from peft import PeftModel
from peft.tuners.loha.layer import LoHaLayer
from peft.tuners.lokr.layer import LoKrLayer
from peft.tuners.lora.layer import LoraLayer
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.core.errors import Refusal
from qtha_lab.core.settings import unknown


def weigh(model: nn.Module, weights: Mapping[str, float]) -> contextlib.ExitStack:
    """Activate adapters, with each change multiplied by its weight.

    A `with` statement restores the previous state at its end, and unmerges adapters merged inside.
    Without `with` the weights stay until the next call. Trainability does not change. Merging adds
    w_a Δ_a to the base weights. `save_pretrained` saves the adapters without the weights.

    Args:
        model: Model with adapters: a PeftModel, nested ones, or a transformers model with its own
            adapters.
        weights: Weight by adapter name; other adapters are deactivated.

    Raises:
        Refusal: For an unknown adapter, a weight that is not a finite number, a method without a
            factor, two adapters with whole modules, or while adapters are merged.

    Example:
        >>> import torch
        >>> from qtha_lab.adapters import QthaConfig, add_adapter
        >>> config = QthaConfig(
        ...     r=2, use_mpo=False, use_circuit=False, init_weights=False, target_modules=["0"]
        ... )
        >>> model = add_adapter(nn.Sequential(nn.Linear(4, 3)), config, name="news")
        >>> x = torch.randn(2, 4)
        >>> whole = model(x)
        >>> with model.disable_adapter():
        ...     base = model(x)
        >>> with weigh(model, {"news": 0.25}):
        ...     torch.allclose(model(x), base + 0.25 * (whole - base), atol=1e-6)
        True
        >>> torch.equal(model(x), whole)
        True
    """
    layers: list[BaseTunerLayer] = [m for m in model.modules() if isinstance(m, BaseTunerLayer)]
    wrappers = [m for m in model.modules() if isinstance(m, AuxiliaryTrainingWrapper)]
    _check_weights(layers, weights)
    _check_kinds(layers, weights)
    _check_wrappers(wrappers, weights)
    restore = contextlib.ExitStack()
    for layer in layers:
        _weigh_layer(layer, weights, restore)
    for wrapper in wrappers:
        names = [name for name in weights if name in wrapper._adapters]
        _set(wrapper, "_active_adapter", names[0] if names else [], restore)
    _set_models(model, list(weights), restore)
    restore.callback(_unmerge, layers)
    return restore


def _check_weights(layers: list[BaseTunerLayer], weights: Mapping[str, float]) -> None:
    names = sorted({name for layer in layers for name in layer._all_available_adapter_names()})
    if not names:
        raise Refusal("The model has no adapters. Add one first.")
    if not weights:
        raise Refusal(f"weights is empty. Name some of the adapters {', '.join(names)}.")
    for name, weight in weights.items():
        if name not in names:
            raise unknown("adapter", str(name), names)
        if isinstance(weight, bool) or not isinstance(weight, Real) or not math.isfinite(weight):
            raise Refusal(
                f"The weight of adapter {name!r} must be a finite number, got {weight!r}."
            )
    merged = sorted({name for layer in layers for name in layer.merged_adapters})
    if merged:
        raise Refusal(
            f"Weighted adapters must not be merged, got {', '.join(merged)}. Call unmerge_adapter "
            "first."
        )


def _check_kinds(layers: list[BaseTunerLayer], weights: Iterable[str]) -> None:
    for layer in layers:
        available = layer._all_available_adapter_names()
        for name in weights:
            if name in available and not _has_factor(layer, name):
                raise Refusal(
                    "Weighted adapters must be ours or PEFT's LoRA (not DoRA), LoHa or LoKr, whose "
                    f"changes have a factor, got {name!r} with layers of {type(layer).__module__}."
                )


def _has_factor(layer: BaseTunerLayer, name: str) -> bool:
    if isinstance(layer, LoraLayer):
        return name not in layer.lora_variant
    return isinstance(layer, AdapterLayer | LoHaLayer | LoKrLayer)


def _check_wrappers(wrappers: list[AuxiliaryTrainingWrapper], weights: Iterable[str]) -> None:
    for wrapper in wrappers:
        whole = [name for name in weights if name in wrapper._adapters]
        if len(whole) > 1:
            raise Refusal(
                "At most one weighted adapter must have modules_to_save, got "
                f"{' and '.join(map(repr, whole))}. Name one of them."
            )


def _weigh_layer(layer, weights: Mapping[str, float], restore: contextlib.ExitStack) -> None:
    factors = layer.factors if isinstance(layer, AdapterLayer) else getattr(layer, "scaling", {})
    before = {name: factors[name] for name in weights if name in factors}
    restore.callback(lambda: factors.update({k: v for k, v in before.items() if k in factors}))
    for name in before:
        layer.set_scale(name, float(weights[name]))
    _set(layer, "_active_adapter", list(weights), restore)


def _set_models(model: nn.Module, names: list[str], restore: contextlib.ExitStack) -> None:
    """Set the active adapters that PeftModel and its tuner record."""
    for module in model.modules():
        if isinstance(module, BaseTuner):
            _set(module, "active_adapter", names, restore)
        elif isinstance(module, PeftModel) and module.active_adapter not in names:
            present = [name for name in names if name in module.peft_config]
            _set(
                module, "active_adapter", present[0] if present else module.active_adapter, restore
            )


def _set(module: nn.Module, attribute: str, value, restore: contextlib.ExitStack) -> None:
    restore.callback(setattr, module, attribute, getattr(module, attribute))
    setattr(module, attribute, value)


def _unmerge(layers: list[BaseTunerLayer]) -> None:
    for layer in layers:
        if layer.merged:
            layer.unmerge()

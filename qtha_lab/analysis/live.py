"""Spectra of linear paths from the trained factors alone: quick enough while training.

Uses no activation and runs no circuit; what depends on tokens is `views`.
"""

import time
from collections.abc import Collection

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from qtha_lab.adapters.peft_bridge import AdapterLayer
from qtha_lab.analysis.sketch import randomised_svd
from qtha_lab.analysis.spectrum import Spectrum, factored_spectrum
from qtha_lab.analysis.updates import LinearMap, adapter_name, chosen_layers, lora_factors

MOST_VALUES = 16  # where there are no thin factors and values must be sketched


def snapshot(
    model: nn.Module,
    adapter: str | None = None,
    layers: Collection[str] | None = None,
    *,
    sketch: bool = False,
) -> dict:
    """Spectra of every layer's linear path now, as plain data for a line of JSON.

    Does not show what a circuit does, nor how often a direction is used. Layers whose method has no
    thin factors are only counted in "left_out", unless `sketch` asks for their `MOST_VALUES`
    leading values.

    Args:
        model: In training or not; nothing of it is changed.
        adapter: Its name; None is the active one.
        layers: Names of layers; None is all.
        sketch: Multiply with random vectors where there are no factors: tens of times slower.

    Example:
        >>> from peft import LoraConfig, get_peft_model
        >>> from qtha_lab import load_model
        >>> config = LoraConfig(r=2, target_modules=["q_proj"])
        >>> taken = snapshot(get_peft_model(load_model("tiny").model, config))
        >>> taken["layers"]["model.layers.0.self_attn.q_proj"]["singular_values"]  # B = 0
        [0.0, 0.0]
    """
    began = time.process_time()
    taken, left_out = {}, 0
    for name, module in chosen_layers(model, layers).items():
        spectrum = _linear_path(module, adapter_name(module, adapter, name), sketch)
        if spectrum is None:
            left_out += 1
            continue
        taken[name] = {
            **spectrum.summary(),
            "singular_values": [float(f"{value:.6g}") for value in spectrum.values],
        }
    return {"layers": taken, "left_out": left_out, "cpu_seconds": time.process_time() - began}


@torch.no_grad()
def _linear_path(module: BaseTunerLayer, adapter: str, sketch: bool) -> Spectrum | None:
    if isinstance(module, AdapterLayer):
        change = module.changes[adapter]
        tensors = {name: t.detach() for name, t in module.adapter_tensors(adapter).items()}
        factors = change.linear_factors(tensors)
        linear = change.is_linear(change.config)
        delta = lambda x: change.delta(tensors, x)  # noqa: E731
    else:
        factors = lora_factors(module, adapter)
        linear, delta = True, lambda x: module(x) - module.get_base_layer()(x)
    if factors is not None:
        return factored_spectrum(*factors)
    return _sketched(module, delta) if sketch and linear else None


def _sketched(module: BaseTunerLayer, delta) -> Spectrum:
    """A few leading values in float32, with the layer in evaluation mode while they are taken."""
    was_training = module.training
    module.eval()
    try:
        operator = _OnDevice(delta, module)
        return randomised_svd(operator, MOST_VALUES, power_iterations=1).spectrum
    finally:
        module.train(was_training)


class _OnDevice(LinearMap):
    """A linear map of float32 vectors on the device of its layer."""

    def __init__(self, delta, module: BaseTunerLayer):
        weight: Tensor = module.get_base_layer().weight
        super().__init__(
            lambda x: delta(x.to(weight.device)).float().cpu(),
            module.in_features,
            module.out_features,
            weight.dtype if weight.is_floating_point() else torch.float32,
        )

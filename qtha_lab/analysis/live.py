"""Spectra of linear paths from the trained factors alone, fast enough during training.

Uses no activations and runs no circuit. `views` computes token-dependent spectra.
"""

import time
from collections.abc import Collection
from typing import cast

import torch
from torch import Tensor, nn

from qtha_lab.adapters.change import Base
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.analysis.networks.bonds import bonds_of
from qtha_lab.analysis.updates.sketch import randomised_svd
from qtha_lab.analysis.updates.spectrum import Spectrum, factored_spectrum
from qtha_lab.analysis.updates.update import (
    AdaptedLayer,
    LinearMap,
    adapter_name,
    chosen_layers,
    lora_factors,
)

MOST_VALUES = 16  # number of sketched values where there are no thin factors


def snapshot(
    model: nn.Module,
    adapter: str | None = None,
    layers: Collection[str] | None = None,
    *,
    sketch: bool = False,
) -> dict:
    """Return the current spectra of every layer's linear path, as plain data.

    Does not show the contribution of a circuit, nor how often a direction is used. Layers without
    thin factors or with non-finite weights only count in "left_out". With `sketch`, layers without
    factors get their `MOST_VALUES` leading values. Tensor networks among the tensors add the
    entropy of each bond, in bits.

    Args:
        model: Model in training or evaluation mode; it is not changed.
        adapter: Name of the adapter; None uses the active one.
        layers: Names of layers; None uses all.
        sketch: Multiply by random vectors where there are no factors; tens of times slower.

    Example:
        >>> from peft import LoraConfig, get_peft_model
        >>> from qtha_lab import load_model
        >>> config = LoraConfig(r=2, target_modules=["q_proj"])
        >>> taken = snapshot(get_peft_model(load_model("tiny").model, config))
        >>> taken["layers"]["model.layers.0.self_attn.q_proj"]["singular_values"]  # B = 0
        [0.0, 0.0]
    """
    start = time.process_time()
    by_layer = {
        name: _of_layer(module, adapter_name(module, adapter, name), sketch)
        for name, module in chosen_layers(model, layers).items()
    }
    rows = {name: row for name, row in by_layer.items() if row is not None}
    return {
        "layers": rows,
        "left_out": len(by_layer) - len(rows),
        "cpu_seconds": time.process_time() - start,
    }


def _of_layer(module: AdaptedLayer, adapter: str, sketch: bool) -> dict | None:
    tensors = _tensors(module, adapter)
    if not all(torch.isfinite(tensor).all() for tensor in tensors):
        return None
    spectrum = _linear_path(module, adapter, sketch)
    if spectrum is None:
        return None
    values = [float(f"{value:.6g}") for value in spectrum.values]
    return {**spectrum.summary(), "singular_values": values, **_bonds(module, adapter)}


def _tensors(module: AdaptedLayer, adapter: str) -> list[Tensor]:
    """Return all tensors of an adapter at a layer."""
    groups = (getattr(module, name) for name in module.adapter_layer_names)
    of_adapter = (group[adapter] for group in groups if hasattr(group, "keys") and adapter in group)
    return [
        tensor
        for entry in of_adapter
        for tensor in (entry.parameters() if isinstance(entry, nn.Module) else [entry])
    ]


def _bonds(module: AdaptedLayer, adapter: str) -> dict:
    """Return the bond entropies of the layer's tensor networks, if any."""
    if not isinstance(module, AdapterLayer):
        return {}
    operators = module.changes[adapter].operators(module.adapter_tensors(adapter))
    entropies = {
        name: [round(bond.entropy_bits, 5) for bond in bonds_of(cores, shape)]
        for name, (cores, shape) in operators.items()
    }
    return {"bond_entropy_bits": entropies} if entropies else {}


@torch.no_grad()
def _linear_path(module: AdaptedLayer, adapter: str, sketch: bool) -> Spectrum | None:
    if isinstance(module, AdapterLayer):
        change = module.changes[adapter]
        tensors = {name: t.detach() for name, t in module.adapter_tensors(adapter).items()}
        factors = change.linear_factors(tensors)
        linear = change.is_linear(change.config)

        def delta(x):
            base = Base(
                lambda: module.base_matrix(x.dtype), lambda: x @ module.base_matrix(x.dtype).mT
            )
            return change.output(tensors, x, base)

    else:
        factors = lora_factors(module, adapter)
        base = cast(nn.Module, module.get_base_layer())
        linear, delta = True, lambda x: module(x) - base(x)
    if factors is not None:
        return factored_spectrum(*factors)
    return _sketched(module, delta) if sketch and linear else None


def _sketched(module: AdaptedLayer, delta) -> Spectrum:
    """Return a few leading values in float32, with the layer in evaluation mode."""
    was_training = module.training
    module.eval()
    try:
        operator = _OnDevice(delta, module)
        return randomised_svd(operator, MOST_VALUES, power_iterations=1).spectrum
    finally:
        module.train(was_training)


class _OnDevice(LinearMap):
    """Linear map of float32 vectors on the device of its layer."""

    def __init__(self, delta, module: AdaptedLayer):
        weight = cast(Tensor, module.get_base_layer().weight)
        super().__init__(
            lambda x: delta(x.to(weight.device)).float().cpu(),
            module.in_features,
            module.out_features,
            weight.dtype if weight.is_floating_point() else torch.float32,
        )

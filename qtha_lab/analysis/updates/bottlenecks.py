"""Inputs and outputs of a circuit inside an adapter, layer by layer, on real text.

Five measurements show why a circuit may contribute little: the spread of its input angles, their
share beyond ± π, and the constant share of its output. The others are the affine share of its
output, and the power of its branch relative to the linear one. None of them shows the effect of
training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.adapters.change import Change
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.qtha_bottleneck import Branches
from qtha_lab.analysis.updates.activations import capture_inputs
from qtha_lab.analysis.updates.nonlinearity import LEAST_TOKENS, affine_share
from qtha_lab.analysis.updates.update import adapter_name, chosen_layers


@dataclass(frozen=True)
class BottleneckFacts:
    """Measurements of one layer's circuit, or its control, over some tokens.

    Attributes:
        block: Index of the transformer block; None outside of one.
        angle_std: Standard deviation of the input angles over tokens and qubits, in radians.
        beyond_pi: Share of the input angles beyond ± π.
        constant_part: Share of the power of ⟨Z⟩ in its mean over the tokens: 1 for a constant.
        affine_part: Share of the power of ⟨Z⟩ that the best affine map of the inputs explains on
            held-out tokens, including the constant; None for fewer than 16 tokens.
        branch_power: Power of the circuit branch over that of the linear branch; None without one.
    """

    block: int | None
    angle_std: float
    beyond_pi: float
    constant_part: float
    affine_part: float | None
    branch_power: float | None


def bottlenecks(
    model: nn.Module,
    batches: Mapping[str, Tensor] | Iterable[Mapping[str, Tensor]],
    *,
    adapter: str | None = None,
    max_tokens: int = 256,
) -> dict[str, BottleneckFacts]:
    """Measure every layer whose adapter has a circuit, or its control, in a bottleneck.

    Args:
        model: Model with adapters; restored afterwards.
        batches: Tokenizer output, one batch or several.
        adapter: Name of the adapter; None uses the active one.
        max_tokens: Maximum number of tokens, the same at every layer.

    Returns:
        Measurements by layer name, in the model's order; empty without such a bottleneck. Layers
        that receive no token are left out.

    Raises:
        Refusal: If there is no token, or a layer does not receive one vector per token.

    Example:
        >>> from qtha_lab import load_model
        >>> from qtha_lab.adapters import QthaConfig, add_adapter
        >>> tiny = load_model("tiny")
        >>> model = add_adapter(tiny.model, QthaConfig(r=2, waist=8, target_modules=["q_proj"]))
        >>> facts = bottlenecks(model, tiny.tokenizer(["How are you?"], return_tensors="pt"))
        >>> len(facts), all(0 <= fact.constant_part <= 1 for fact in facts.values())
        (6, True)
    """
    chosen: dict[str, tuple[Change, dict[str, Tensor], Branches]] = {}
    for name, module in chosen_layers(model, None).items():
        if not isinstance(module, AdapterLayer):
            continue
        key = adapter_name(module, adapter, name)
        change: Any = module.changes[key]
        if isinstance(bottleneck := getattr(change, "bottleneck", None), Branches):
            chosen[name] = change, module.adapter_tensors(key), bottleneck
    if not chosen:
        return {}
    inputs = capture_inputs(model, batches, max_tokens=max_tokens, layers=list(chosen))
    return {name: _facts(*parts, inputs[name]) for name, parts in chosen.items() if name in inputs}


@torch.no_grad()
@torch.autocast("cpu", enabled=False)  # exact, whatever precision the model ran in
def _facts(
    change: Any,
    tensors: Mapping[str, Tensor],
    bottleneck: Branches,
    x: Float[Tensor, "tokens in_features"],
) -> BottleneckFacts:
    cpu = {name: tensor.detach().float().cpu() for name, tensor in tensors.items()}
    h = change.bottleneck_input(cpu, x.float())
    parts = bottleneck.parts(cpu, h)
    power = affine = None
    if parts.linear is not None:
        power = _ratio(parts.mixed.square().mean(), parts.linear.square().mean())
    if len(x) >= LEAST_TOKENS:
        affine = affine_share(h, parts.q)
    return BottleneckFacts(
        block=change.layer.block,
        angle_std=float(parts.angles.std()),
        beyond_pi=float((parts.angles.abs() > math.pi).float().mean()),
        constant_part=_ratio(parts.q.mean(0).square().sum(), parts.q.square().mean(0).sum()),
        affine_part=affine,
        branch_power=power,
    )


def _ratio(part: Tensor, whole: Tensor) -> float:
    return float(part / whole.clamp_min(torch.finfo(whole.dtype).tiny))

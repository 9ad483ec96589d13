"""Inputs of adapted layers, and inputs and outputs of circuits, on real text."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.adapters.change import Change
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.qtha_bottleneck import Branches
from qtha_lab.analysis.updates.nonlinearity import LEAST_TOKENS, affine_share
from qtha_lab.analysis.updates.update import adapter_name, chosen_layers
from qtha_lab.core.errors import Refusal

log = logging.getLogger(__name__)


@torch.no_grad()
def capture_inputs(
    model: nn.Module,
    batches: Mapping[str, Tensor] | Iterable[Mapping[str, Tensor]],
    *,
    max_tokens: int = 512,
    layers: Collection[str] | None = None,
    seed: int = 0,
) -> dict[str, Float[Tensor, "tokens in_features"]]:
    """Record the inputs of every adapted layer at the same random tokens, without padding.

    Results on these inputs hold for similar text only. Tokens of one sentence are not independent
    samples. A layer whose weight a model reads without a call, as some of Jamba's, is left out.

    Args:
        model: Model with adapters; run in evaluation mode and restored.
        batches: Tokenizer output, `input_ids`, `attention_mask`, …; one batch or several. An
            encoder with a decoder needs `labels` too, whose tokens its decoder layers see.
        max_tokens: Maximum number of tokens, the same at every layer of one side.
        layers: Names of layers to record; None records all.
        seed: Seed of the choice of tokens.

    Raises:
        Refusal: If there is no token, no label of a decoder, or a layer does not receive one vector
            per token.

    Example:
        >>> from peft import LoraConfig, get_peft_model
        >>> from qtha_lab import load_model
        >>> tiny = load_model("tiny")
        >>> model = get_peft_model(tiny.model, LoraConfig(target_modules=["q_proj"]))
        >>> text = tiny.tokenizer(["How are you?", "Well."], padding=True, return_tensors="pt")
        >>> inputs = capture_inputs(model, text, max_tokens=5)
        >>> len(inputs), inputs["model.layers.0.self_attn.q_proj"].shape
        (6, torch.Size([5, 192]))
    """
    single = hasattr(batches, "keys")
    batch_list = cast(list[Mapping[str, Tensor]], [batches] if single else list(batches))
    decodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    sides = [_prompt_mask, _answer_mask] if decodes else [_prompt_mask]
    masks = [[mask_of(batch) for batch in batch_list] for mask_of in sides]
    positions = [_choose(of_side, max_tokens, seed) for of_side in masks]
    modules = chosen_layers(model, layers)
    inputs_of: dict[str, list[Tensor]] = {name: [] for name in modules}
    was_training = model.training
    model.eval()
    try:
        for number, batch in enumerate(batch_list):
            kept = [(m[number], p[number]) for m, p in zip(masks, positions, strict=True)]
            hooks = [
                module.register_forward_pre_hook(
                    functools.partial(_catch, name, inputs_of[name], kept)
                )
                for name, module in modules.items()
            ]
            try:
                model(**{k: v for k, v in batch.items() if k != "labels" or decodes})
            finally:
                for hook in hooks:
                    hook.remove()
    finally:
        model.train(was_training)
    if idle := [name for name, inputs in inputs_of.items() if not inputs]:
        log.warning("layers that receive no token are left out: %s", ", ".join(idle))
    return {name: torch.cat(inputs) for name, inputs in inputs_of.items() if inputs}


def _prompt_mask(batch: Mapping[str, Tensor]) -> Tensor:
    mask = batch.get("attention_mask")
    return (torch.ones_like(batch["input_ids"]) if mask is None else mask).bool().cpu()


def _answer_mask(batch: Mapping[str, Tensor]) -> Tensor:
    if "labels" not in batch:
        raise Refusal("A batch of an encoder with a decoder has no labels.")
    return (batch["labels"] >= 0).cpu()


def _choose(masks: list[Tensor], max_tokens: int, seed: int) -> list[Tensor]:
    """Return, per batch, the positions to keep among its real tokens."""
    counts = [int(mask.sum()) for mask in masks]
    total = sum(counts)
    if total == 0 or max_tokens < 1:
        raise Refusal(f"x must have at least 1 token, got {total} of at most {max_tokens}.")
    order = torch.randperm(total, generator=torch.Generator().manual_seed(seed))
    token_positions, start, positions = order[:max_tokens].sort().values, 0, []
    for count in counts:
        inside = (token_positions >= start) & (token_positions < start + count)
        positions.append(token_positions[inside] - start)
        start += count
    return positions


def _catch(
    name: str, inputs: list[Tensor], kept: list[tuple[Tensor, Tensor]], module, args
) -> None:
    """Keep the vectors of the chosen tokens, for a decoder those of the answer."""
    x = args[0].detach()
    count = x.shape[:-1].numel()
    sides = reversed(kept) if "decoder." in name else kept
    mask, keep = next((side for side in sides if side[0].numel() == count), kept[0])
    if count != mask.numel():
        raise Refusal(
            f"{name} must have one input vector per token, got {count} for "
            f"{mask.numel()} tokens. Choose other layers."
        )
    real = x.reshape(-1, x.shape[-1]).cpu()[mask.reshape(-1)]
    inputs.append(real[keep])


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

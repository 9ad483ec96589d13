"""Inputs of the adapted layers of a model on real text.

Runs the model with its adapters and records the inputs without further computation.
"""

import functools
from collections.abc import Collection, Iterable, Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.analysis.updates.update import chosen_layers
from qtha_lab.core.errors import Refusal


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
    samples.

    Args:
        model: Model with adapters; run in evaluation mode and restored.
        batches: Tokenizer output, `input_ids`, `attention_mask`, …; one batch or several.
        max_tokens: Maximum number of tokens, the same at every layer.
        layers: Names of layers to record; None records all.
        seed: Seed of the choice of tokens.

    Raises:
        Refusal: If there is no token, or a layer does not receive one vector per token.

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
    masks = [_mask(batch) for batch in batch_list]
    positions = _choose(masks, max_tokens, seed)
    modules = chosen_layers(model, layers)
    inputs_of: dict[str, list[Tensor]] = {name: [] for name in modules}
    was_training = model.training
    model.eval()
    try:
        for batch, mask, keep in zip(batch_list, masks, positions, strict=True):
            hooks = [
                module.register_forward_pre_hook(
                    functools.partial(_catch, name, inputs_of[name], mask, keep)
                )
                for name, module in modules.items()
            ]
            try:
                model(**{key: value for key, value in batch.items() if key != "labels"})
            finally:
                for hook in hooks:
                    hook.remove()
    finally:
        model.train(was_training)
    return {name: torch.cat(inputs) for name, inputs in inputs_of.items()}


def _mask(batch: Mapping[str, Tensor]) -> Tensor:
    mask = batch.get("attention_mask")
    return (torch.ones_like(batch["input_ids"]) if mask is None else mask).bool().cpu()


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


def _catch(name: str, inputs: list[Tensor], mask: Tensor, keep: Tensor, module, args) -> None:
    x = args[0].detach()
    if x.shape[:-1].numel() != mask.numel():
        raise Refusal(
            f"{name} must have one input vector per token, got {x.shape[:-1].numel()} for "
            f"{mask.numel()} tokens. Choose other layers."
        )
    real = x.reshape(-1, x.shape[-1]).cpu()[mask.reshape(-1)]
    inputs.append(real[keep])

"""Inputs of the adapted layers of a model on real text.

Runs the model with its adapters and records the inputs without further computation.
"""

import functools
import logging
from collections.abc import Collection, Iterable, Mapping
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from qtha_lab.analysis.updates.update import chosen_layers
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
        raise Refusal("Batches of an encoder with a decoder must have labels, got none.")
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

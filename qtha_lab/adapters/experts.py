"""Routed experts of a mixture, which no adapter of a linear layer reaches.

transformers stores the experts of a block as parameters of three axes (expert, rows, columns), not
as linear layers.
"""

from collections.abc import Iterator

from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn


def unadapted_experts_note(model: nn.Module) -> str:
    """Describe the routed experts without adapters in a sentence; "" if there are none.

    Args:
        model: Model with or without adapters; may be on the meta device.

    Example:
        >>> import torch
        >>> block = nn.Module()
        >>> block.experts = nn.Module()
        >>> block.experts.down_proj = nn.Parameter(torch.zeros(4, 2, 3))
        >>> block.router = nn.Linear(2, 4, bias=False)
        >>> unadapted_experts_note(block)
        "Routed experts have 75% of the parameters and no adapter: they are no linear layers. ..."
    """
    total = sum(p.numel() for p in model.parameters())
    without = sum(p.numel() for p in _experts(model))
    if not without:
        return ""
    return (
        f"Routed experts have {without / total:.0%} of the parameters and no adapter: they are no "
        "linear layers. PEFT's LoraConfig reaches them by target_parameters."
    )


def _experts(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters of routed experts outside of adapted layers."""
    inside: tuple[str, ...] = ()
    for name, module in model.named_modules():
        if inside and name.startswith(inside):
            continue
        if isinstance(module, BaseTunerLayer):
            inside = (*inside, f"{name}.")
        elif "expert" in name.rpartition(".")[2].lower():
            yield from (p for p in module.parameters(recurse=False) if p.dim() == 3)

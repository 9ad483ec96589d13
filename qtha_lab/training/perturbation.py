"""The adapter's start moved by one unit in the last place: what training makes of a rounding.

Two such runs differ by nothing that anybody chose, so the spread of many is a floor below which no difference of methods
means anything.
"""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def nudge(model: nn.Module, repeat: int) -> None:
    """Move every trained number that is not zero by one unit in the last place, up or down by chance.

    Args:
        model: Whose trained parameters are moved, in place; the random state stays as it was.
        repeat: Which repeat it is, the seed of the directions; 0 moves nothing.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> before = layer.weight.detach().clone()
        >>> nudge(layer, 1)
        >>> (layer.weight - before).abs().max() < 1e-7, bool((layer.weight != before).all())
        (tensor(True), True)
    """
    if not repeat:
        return
    generator = torch.Generator().manual_seed(repeat)
    for parameter in model.parameters():
        if parameter.requires_grad:
            up = torch.randint(0, 2, parameter.shape, generator=generator).bool()
            far = torch.full_like(parameter, torch.inf)
            towards = torch.where(up.to(parameter.device), far, -far)
            moved = torch.nextafter(parameter, towards)
            parameter.copy_(torch.where(parameter == 0, parameter, moved))

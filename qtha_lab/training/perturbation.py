"""1-ulp perturbation of the adapter's initialisation, to measure the effect of rounding.

Runs that differ only in this perturbation differ in no setting. The spread of many such runs is a
noise floor: a smaller difference between methods has no meaning.
"""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def perturb(model: nn.Module, repeat: int) -> None:
    """Change each non-zero trained number by one ulp, in a random direction.

    Args:
        model: Model whose trained parameters are changed in place; global random state is not
            changed.
        repeat: Number of the repeat, used as the seed of the directions; 0 changes nothing.

    Example:
        >>> layer = torch.nn.Linear(2, 2)
        >>> before = layer.weight.detach().clone()
        >>> perturb(layer, 1)
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

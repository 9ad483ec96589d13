"""Zero initialisation of a last layer: every initial logit is 0."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def zero_(layer: nn.Linear) -> nn.Linear:
    """Set a layer to zero in place, and return the layer.

    Example:
        >>> zero_(nn.Linear(2, 3))(torch.ones(1, 2)).tolist()
        [[0.0, 0.0, 0.0]]
    """
    layer.weight.zero_()
    if layer.bias is not None:
        layer.bias.zero_()
    return layer

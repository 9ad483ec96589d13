"""Parts of a head that stay as they were drawn: saved with it, and never trained."""

from __future__ import annotations

from torch import nn


def freeze_(module: nn.Module) -> None:
    """Make the parameters of a module, not of those inside it, buffers; PEFT trains all parameters of a head.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> freeze_(layer)
        >>> list(layer.parameters()), list(layer.state_dict())
        ([], ['weight', 'bias'])
    """
    for name, parameter in list(module.named_parameters(recurse=False)):
        delattr(module, name)
        module.register_buffer(name, parameter.detach())

"""Frozen parts of a head: saved with the head, never trained."""

from __future__ import annotations

from torch import nn


def freeze_(module: nn.Module) -> None:
    """Convert a module's own parameters to buffers; submodules stay unchanged.

    PEFT trains all parameters of a head, but no buffers.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> freeze_(layer)
        >>> list(layer.parameters()), list(layer.state_dict())
        ([], ['weight', 'bias'])
    """
    for name, parameter in list(module.named_parameters(recurse=False)):
        delattr(module, name)
        module.register_buffer(name, parameter.detach())

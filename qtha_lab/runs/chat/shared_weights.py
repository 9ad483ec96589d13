"""Shared-weights copies: the modules are copies, the tensors are those of the original.

So adapters of any methods can be loaded side by side, each on a model of its own, with the base in
memory once.
"""

import copy
import itertools
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def shared_weights_copy(model: Model) -> Model:
    """Copy a model's modules, but share its tensors.

    Modules of the copy can be replaced without effect on the original. A write to a tensor of one
    model changes the other, so merge nothing into a copy.

    Example:
        >>> first = nn.Sequential(nn.Linear(2, 2))
        >>> second = shared_weights_copy(first)
        >>> second[0] is first[0], second[0].weight is first[0].weight
        (False, True)
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})

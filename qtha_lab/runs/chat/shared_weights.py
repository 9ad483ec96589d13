"""A second model on the same weights: its modules are copies, its tensors are the first one's own.

So adapters of any methods stand beside each other, each on a model of its own, and the base is in memory once.
"""

import copy
import itertools
from typing import TypeVar

from torch import nn

Model = TypeVar("Model", bound=nn.Module)


def twin(model: Model) -> Model:
    """A model whose modules can be replaced while those of the first stay as they are.

    Who writes into a tensor of the one writes into the other: merge nothing into a twin.

    Example:
        >>> first = nn.Sequential(nn.Linear(2, 2))
        >>> second = twin(first)
        >>> second[0] is first[0], second[0].weight is first[0].weight
        (False, True)
    """
    tensors = itertools.chain(model.parameters(), model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})

"""A random QTHA update with tokens, for measurements of its shares."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from qtha_lab.analysis.updates.update import Delta

SIZE, TOKENS = 24, 800


def example_update() -> tuple["Delta", "Tensor"]:
    """Return a random QTHA update of 24 inputs, and 800 tokens.

    Example:
        >>> update, x = example_update()
        >>> update(x).shape
        torch.Size([800, 24])
    """
    import torch

    from qtha_lab import QthaConfig
    from qtha_lab.adapters.change import Layer

    config = QthaConfig(r=4, waist=8, bond_dim=2, n_sites=3, init_weights=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        change = config.change(Layer(SIZE, SIZE))
        tensors = change.start(torch.float64)
        torch.manual_seed(0)
        x = torch.randn(TOKENS, SIZE, dtype=torch.float64)
    return lambda rows: change.delta(tensors, rows), x

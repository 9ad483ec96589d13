"""Learning rates by parameter group: adapter, named groups and a new classification head.

Only groups parameters; schedules and warm-up scale all groups equally.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from qtha_lab.adapters.tensor_groups import HEAD, adapter_groups
from qtha_lab.core.settings import unknown


def set_head_apart(
    optimizer: torch.optim.Optimizer, model: nn.Module, learning_rate: float
) -> None:
    """Set the learning rate of a new classification head, if the model has one.

    Args:
        optimizer: Optimiser whose groups are split, in place.
        model: Model that the optimiser trains.
        learning_rate: Learning rate of the head.
    """
    head = {id(parameter) for name, parameter in model.named_parameters() if HEAD in name}
    set_apart(optimizer, head, learning_rate)


def set_groups_apart(
    optimizer: torch.optim.Optimizer,
    model: nn.Module,
    learning_rate: float,
    ratios: Mapping[str, float],
) -> None:
    """Set the learning rates of groups of tensors.

    Args:
        optimizer: Optimiser whose groups are split, in place.
        model: Model that the optimiser trains.
        learning_rate: Learning rate of the adapter.
        ratios: Ratio of each group's rate to the adapter's rate.

    Raises:
        Refusal: If a named group contains no trained tensor.

    Source:
        LoRA+, Hayou et al. 2024, arXiv:2402.12354: a larger rate for B than for A.
    """
    members = adapter_groups(model)
    for group, ratio in ratios.items():
        if group not in members:
            raise unknown("group of tensors", group, sorted(members))
        set_apart(optimizer, members[group], learning_rate * ratio)


def set_apart(optimizer: torch.optim.Optimizer, members: set[int], learning_rate: float) -> None:
    """Move parameters into new groups that differ only in the learning rate.

    Args:
        optimizer: Optimiser whose groups are split, in place.
        members: `id` of each parameter to move.
        learning_rate: Learning rate of the new groups.

    Example:
        >>> body, head = torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
        >>> adam = torch.optim.AdamW([body.weight, head.weight], lr=0.1)
        >>> set_apart(adam, {id(head.weight)}, 0.5)
        >>> [(group["lr"], len(group["params"])) for group in adam.param_groups]
        [(0.1, 1), (0.5, 1)]
    """
    for group in list(optimizer.param_groups):
        apart = [p for p in group["params"] if id(p) in members]
        group["params"] = [p for p in group["params"] if id(p) not in members]
        if apart:
            optimizer.add_param_group({**group, "params": apart, "lr": learning_rate})

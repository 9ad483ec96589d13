"""Training loop and scorer of all small reproductions: Adam over one loss function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional


def minimise(
    loss_of: Callable[[], Tensor],
    parameters: Iterable[Tensor],
    steps: int,
    rate: float,
    *,
    weight_decay: float = 0.0,
    cosine: bool = False,
    max_norm: float | None = None,
) -> Iterator[tuple[float, float]]:
    """Take steps of Adam; yield the loss before each step and its learning rate.

    Args:
        loss_of: Computes the loss of the next step, and draws its batch.
        parameters: Tensors to train; frozen ones are ignored.
        steps: Number of steps.
        rate: Learning rate.
        weight_decay: Weight decay of Adam.
        cosine: Lower the learning rate along a cosine.
        max_norm: Largest norm of the gradient; None does not clip.

    Example:
        >>> x = torch.tensor([1.0], requires_grad=True)
        >>> [round(loss, 2) for loss, _ in minimise(lambda: (x**2).sum(), [x], 3, rate=0.5)]
        [1.0, 0.25, 0.0]
    """
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps) if cosine else None
    for _ in range(steps):
        now = rate if schedule is None else float(schedule.get_last_lr()[0])
        loss = loss_of()
        optimizer.zero_grad()
        loss.backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(trained, max_norm)
        optimizer.step()
        if schedule is not None:
            schedule.step()
        yield loss.item(), now


def minimised_costs(
    cost: Callable[[Tensor], Tensor], start: Tensor, steps: int, rate: float
) -> list[float]:
    """Return the cost of angles at their initial values and after each step of Adam."""
    angles = start.clone().requires_grad_()
    costs = [value for value, _ in minimise(lambda: cost(angles), [angles], steps, rate)]
    return [*costs, cost(angles).item()]


def batch_loss(
    network: nn.Module, rows: Tensor, labels: Tensor, size: int, order: torch.Generator
) -> Callable[[], Tensor]:
    """Return a function that computes the cross entropy of a random batch."""

    def loss_of() -> Tensor:
        batch = torch.randperm(len(rows), generator=order)[:size]
        return functional.cross_entropy(network(rows[batch]), labels[batch])

    return loss_of


@torch.no_grad()
def classifier_scores(network: nn.Module, rows: Tensor, labels: Tensor) -> dict[str, float]:
    """Compute the loss in nats and the accuracy of a classifier."""
    logits = network(rows)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }


def count_trained(network: nn.Module) -> int:
    """Count the trained parameters of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)

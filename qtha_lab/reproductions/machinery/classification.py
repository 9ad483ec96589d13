"""Train a network on images or features of a few classes, and tell a run's log all of it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from qtha_lab.reproductions.machinery.log import Log
from qtha_lab.tasks.problems.digits import Digits

BATCH = 64
RATES = (0.03, 0.1)  # of Adam; the one of the lower loss on evaluation rows is taken


def classify(make: Callable[[], nn.Module], data: Digits, log: Log, seed: int) -> None:
    """Train at each rate from the same start; tell the course of the better one, and test it once.

    Args:
        make: Draws a network from rows to logits.
        data: Rows to train, evaluate and test on; features may stand in the images' place.
        log: Says how many steps, and takes events.
        seed: Of the network and of the order of rows.
    """
    tries = []
    for rate in RATES:
        torch.manual_seed(seed)
        tries.append(_trained(make(), data, log, seed, rate))
    network, losses, start, end = min(tries, key=lambda trial: trial[3]["loss"])
    rate = RATES[[trial[0] for trial in tries].index(network)]
    log.note(f"learning rate {rate:g} of {', '.join(f'{tried:g}' for tried in RATES)}")
    log.evaluate(0, **start)
    for step, loss in enumerate(losses, 1):
        log.train(step, loss=loss, learning_rate=rate)
    log.test(**scores(network, data.test, data.test_labels))
    log.evaluate(log.steps, **end)
    count = sum(p.numel() for p in network.parameters() if p.requires_grad)
    log.end(trainable_parameters=count, learning_rate=rate)


def _trained(
    network: nn.Module, data: Digits, log: Log, seed: int, rate: float
) -> tuple[nn.Module, list[float], dict[str, float], dict[str, float]]:
    """The network after Adam with a cosine schedule, the losses of the steps, and evaluations before and after."""
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, log.steps)
    order, losses = torch.Generator().manual_seed(seed), []
    start = scores(network, data.eval, data.eval_labels)
    for _ in log.course():
        rows = torch.randperm(len(data.train), generator=order)[:BATCH]
        loss = functional.cross_entropy(network(data.train[rows]), data.train_labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        log.look()
    return network, losses, start, scores(network, data.eval, data.eval_labels)


@torch.no_grad()
def scores(network: nn.Module, rows: Tensor, labels: Tensor) -> dict[str, float]:
    """Loss in nats and accuracy.

    Args:
        network: Asked.
        rows: Images or features.
        labels: Theirs.
    """
    logits = network(rows)
    return {
        "loss": functional.cross_entropy(logits, labels).item(),
        "accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }


def mapped(data: Digits, images_to_rows: Callable[[Tensor], Tensor]) -> Digits:
    """The same labels with features in the place of the images.

    Args:
        data: Images.
        images_to_rows: A function of images, a row each.
    """
    with torch.no_grad():
        train, held_out, test = map(images_to_rows, (data.train, data.eval, data.test))
    return Digits(train, data.train_labels, held_out, data.eval_labels, test, data.test_labels)


def principal(data: Digits, n: int) -> Digits:
    """The first n principal components of the images, each with unit variance over the training rows.

    Args:
        data: Images.
        n: Components.
    """
    mean = data.train.mean(0)
    values, directions = torch.linalg.svd(data.train - mean, full_matrices=False)[1:]
    deviation = values[:n] / (len(data.train) - 1) ** 0.5
    return mapped(data, lambda images: (images - mean) @ directions[:n].mT / deviation)

"""Training of a classifier on images or features, with a complete run log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from qtha_lab.reproductions.machinery.training_loop import (
    Log,
    batch_loss,
    classifier_scores,
    count_trained,
    minimise,
)
from qtha_lab.tasks.problems.digits import Digits

BATCH = 64
RATES = (0.03, 0.1)  # of Adam; the rate with the lower loss on evaluation rows is used


def classify(
    make: Callable[[], nn.Module],
    data: Digits,
    log: Log,
    seed: int,
    rates: Sequence[float] = RATES,
    of: int | None = None,
) -> None:
    """Train at each rate from equal initial weights; log and test the better run.

    The test is done once.
    """
    tries = []
    for rate in rates:
        torch.manual_seed(seed)
        tries.append(_trained(make(), data, log, seed, rate))
    network, losses, start, end = min(tries, key=lambda trial: trial[3]["loss"])
    rate = rates[[trial[0] for trial in tries].index(network)]
    log.note(f"learning rate {rate:g} of {', '.join(f'{tried:g}' for tried in rates)}")
    log.evaluate(0, **start)
    for step, loss in enumerate(losses, 1):
        log.train(step, loss=loss, learning_rate=rate)
    log.test(**classifier_scores(network, data.test, data.test_labels))
    log.evaluate(log.steps, **end)
    trained = count_trained(network)
    share = {} if of is None else {"parameter_share": trained / of}
    log.end(trainable_parameters=trained, learning_rate=rate, **share)


def _trained(
    network: nn.Module, data: Digits, log: Log, seed: int, rate: float
) -> tuple[nn.Module, list[float], dict[str, float], dict[str, float]]:
    """Train by Adam with a cosine schedule.

    Returns the network, the losses of the steps, and the evaluations before and after.
    """
    order, losses = torch.Generator().manual_seed(seed), []
    start = classifier_scores(network, data.eval, data.eval_labels)
    loss_of = batch_loss(network, data.train, data.train_labels, BATCH, order)
    for loss, _ in minimise(loss_of, network.parameters(), log.steps, rate, cosine=True):
        losses.append(loss)
        log.look()
    return network, losses, start, classifier_scores(network, data.eval, data.eval_labels)


def mapped(data: Digits, images_to_rows: Callable[[Tensor], Tensor]) -> Digits:
    """Replace the images by features, with the same labels."""
    with torch.no_grad():
        train, held_out, test = map(images_to_rows, (data.train, data.eval, data.test))
    return Digits(train, data.train_labels, held_out, data.eval_labels, test, data.test_labels)


def principal(data: Digits, n: int) -> Digits:
    """Return the first n principal components of the images.

    Each has unit variance over the training rows.
    """
    mean = data.train.mean(0)
    values, directions = torch.linalg.svd(data.train - mean, full_matrices=False)[1:]
    deviation = values[:n] / (len(data.train) - 1) ** 0.5
    return mapped(data, lambda images: (images - mean) @ directions[:n].mT / deviation)

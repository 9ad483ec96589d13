"""How long a head takes in a step, measured on random features; the model before it is not run."""

from __future__ import annotations

import functools
import time

import torch

from qtha_lab.adapters.heads import head_named

TRIALS = 3


def head_seconds(reader: str, in_features: int, n_classes: int, rows: int, tokens: int) -> float:
    """Seconds of one forward and backward pass, the quickest of three.

    Args:
        reader: The head by name.
        in_features: Numbers of a feature vector.
        n_classes: Logits.
        rows: In a batch.
        tokens: Of a row, for a head that reads them.

    Example:
        >>> head_seconds("linear", 8, 3, rows=4, tokens=5) > 0
        True
    """
    return _seconds(reader, in_features, n_classes, rows, tokens, torch.get_num_threads())


@functools.lru_cache(maxsize=64)
def _seconds(
    reader: str, in_features: int, n_classes: int, rows: int, tokens: int, threads: int
) -> float:
    head = head_named(reader)
    with torch.random.fork_rng(devices=[]):
        network = head.module(in_features, n_classes)
        shape = (rows, tokens, in_features) if head.reads_tokens else (rows, in_features)
        features = torch.randn(shape, requires_grad=True)
    mask = (torch.ones(rows, tokens, dtype=torch.long),) if head.reads_tokens else ()
    trials = []
    for _ in range(TRIALS):
        start = time.perf_counter()
        network(features, *mask).logsumexp(-1).sum().backward()
        trials.append(time.perf_counter() - start)
    return min(trials)

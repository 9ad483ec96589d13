"""Duration of a classification head in a step, measured on random features without a model."""

from __future__ import annotations

import functools
import time

import torch

from qtha_lab.adapters.heads import head_named

TRIALS = 3


def head_seconds(reader: str, in_features: int, n_classes: int, rows: int, tokens: int) -> float:
    """Measure the seconds of one forward and backward pass: the minimum of three.

    Args:
        reader: Name of the head.
        in_features: Length of a feature vector.
        n_classes: Number of logits.
        rows: Rows in the batch.
        tokens: Tokens per row, for a head that reads all tokens.

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

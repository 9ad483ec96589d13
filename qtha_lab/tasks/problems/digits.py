"""Handwritten digits, 8 × 8 pixels: scikit-learn's 1,797 images, split by a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from qtha_lab.core.libraries import require_extra

PIXELS = 64  # the amplitudes of six qubits
LARGEST = 16.0  # value of a pixel


@dataclass(frozen=True)
class Digits:
    """Images and labels for training, evaluation and one test.

    Attributes:
        train: Images with values from 0 to 1, one per row.
        train_labels: Index of each image's digit in `classes`.
        eval: Images for the choice of steps and rates.
        test: Images that no choice depends on.
    """

    train: Float[Tensor, "train 64"]
    train_labels: Int[Tensor, " train"]
    eval: Float[Tensor, "eval 64"]
    eval_labels: Int[Tensor, " eval"]
    test: Float[Tensor, "test 64"]
    test_labels: Int[Tensor, " test"]


def digits(
    train: int, evaluated: int, seed: int, classes: Sequence[int] = tuple(range(10))
) -> Digits:
    """Draw images without replacement; the remaining images are the test set.

    Args:
        train: Number of training images.
        evaluated: Number of evaluation images.
        seed: Seed of the split.
        classes: Digits to include.

    Example:
        >>> data = digits(300, 300, seed=0)
        >>> data.train.shape, len(data.test), float(data.train.max())
        (torch.Size([300, 64]), 1197, 1.0)

    Source:
        scikit-learn's `load_digits`: UCI Optical Recognition of Handwritten Digits, the test part.
    """
    require_extra("reproductions", "The data set of digits", "sklearn")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    places = np.flatnonzero(np.isin(labels, classes))
    order = np.random.default_rng(seed).permutation(places)
    parts = order[:train], order[train : train + evaluated], order[train + evaluated :]
    place = {digit: number for number, digit in enumerate(classes)}
    tensors = []
    for part in parts:
        tensors.append(torch.tensor(images[part] / LARGEST, dtype=torch.float32))
        tensors.append(torch.tensor([place[int(digit)] for digit in labels[part]]))
    return Digits(*tensors)

"""Classification of points that a circuit of three qubits labels."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from qtha_lab.circuits import Circuit, Gate
from qtha_lab.simulators import expval_z


class LabelledPoints(NamedTuple):
    """Inputs in radians, (points, 3), and labels 0 and 1, (points,)."""

    inputs: Tensor
    labels: Tensor


def labelled_points(counts: tuple[int, ...], seed: int) -> list[LabelledPoints]:
    """Draw several sets of points uniform in (0, π)³, with equal numbers of both labels.

    The circuit applies Hadamard and RY(x) to every qubit, then CRY of the product of π - x_i to the
    pairs 01 and 12. The label is 1 if the last qubit is more likely 0 than 1.

    Example:
        >>> first, second = labelled_points((10, 4), seed=0)
        >>> first.inputs.shape, first.labels.sum().item(), len(second.labels)
        (torch.Size([10, 3]), 5.0, 4)

    Source:
        The data of arXiv:2010.10217's code. Its range of points is unknown to us; (0, π) is ours
        [R].
    """
    random = np.random.default_rng(seed)
    per_class = sum(counts) // 2
    samples: tuple[list[Tensor], list[Tensor]] = ([], [])
    while min(map(len, samples)) < per_class:
        x = torch.from_numpy(random.uniform(0, math.pi, 3))
        samples[int(_last_is_zero(x))].append(x)
    sets, first = [], 0
    for count in counts:
        part = slice(first, first + count // 2)
        inputs = torch.stack([*samples[0][part], *samples[1][part]])
        labels = torch.tensor([0.0] * (count // 2) + [1.0] * (count // 2), dtype=torch.float64)
        sets.append(LabelledPoints(inputs, labels))
        first += count // 2
    return sets


def _last_is_zero(x: Tensor) -> bool:
    product = float((math.pi - x).prod())
    gates = [Gate("Hadamard", i) for i in range(3)]
    gates += [Gate("RY", i, float(x[i])) for i in range(3)]
    gates += [Gate("CRY", pair, product) for pair in ((0, 1), (1, 2))]
    none = torch.empty(0, dtype=torch.float64)
    return bool(expval_z(Circuit(3, gates), none, none, "torch")[-1] > 0)

"""Server step of federated averaging: mean of client updates, weighted by rows.

Uses no model and no files.

    θ ← Σ_k (n_k / n) θ_k

Angles of circuits may be averaged as directions, arg Σ_k (n_k / n) e^{iθ_k} [R]: −π and π are one
angle.

Source:
    FedAvg, arXiv:1602.05629; over the tensors of a generator of weights, Federated Quantum-Train,
    arXiv:2409.02763. The circular mean is ours [R].
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from qtha_lab.core.errors import Refusal

ANGLES = re.compile(r"(^|[._])params$")  # the last part of a saved tensor's name


def average(
    states: Sequence[Mapping[str, Tensor]], rows: Sequence[int], angles: str = "mean"
) -> dict[str, Tensor]:
    """Return the weighted mean of tensors by name, summed in double precision.

    A tensor with equal values on all clients is returned bit-identical.

    Args:
        states: Tensors of each client, by name.
        rows: Number of training rows of each client.
        angles: "mean", or "circular" for tensors named `params`.

    Raises:
        Refusal: If two clients send different tensor names.

    Example:
        >>> average([{"A": torch.tensor([1.0])}, {"A": torch.tensor([4.0])}], rows=[2, 1])
        {'A': tensor([2.])}
    """
    for number, state in enumerate(states, 1):
        if state.keys() != states[0].keys():
            raise Refusal(
                f"Clients must send the same tensors, got others from client {number} than from "
                "client 1."
            )
    weights = torch.tensor(rows, dtype=torch.float64) / sum(rows)
    return {
        name: _mean(
            [state[name] for state in states],
            weights,
            is_circular=angles == "circular" and ANGLES.search(name) is not None,
        )
        for name in states[0]
    }


def _mean(tensors: list[Tensor], weights: Tensor, *, is_circular: bool) -> Tensor:
    first = tensors[0]
    if all(torch.equal(tensor, first) for tensor in tensors):
        return first.clone()
    stacked = torch.stack([tensor.double() for tensor in tensors], -1)
    if not is_circular:
        return (stacked @ weights).to(first.dtype)
    return torch.atan2(stacked.sin() @ weights, stacked.cos() @ weights).to(first.dtype)

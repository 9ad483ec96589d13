"""Checks of lesson 11: depth on a chip, shots, and sampled Pauli noise."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from qtha_lab.lessons.build_steps import Near
from qtha_lab.lessons.graders.shared import z_means

MANY = 6000  # samples of a step with a statistical statement


def _signal(state: Mapping[str, Any], more: int = 0) -> float:
    from qtha_lab.experiment.cost.chip import chip_budget

    layers = state["n_layers"] + more
    return chip_budget(4, layers, topology="line", cz_error=state["cz_error"]).signal


def _leaves_signal(state: Mapping[str, Any], q: float) -> bool:
    return _signal(state) >= q / 100


def _is_deepest(state: Mapping[str, Any], q: float) -> bool:
    return _signal(state, more=1) < q / 100


def _basis_state(built):
    probs = torch.zeros(8, dtype=torch.float64)
    probs[1] = 1
    return built(probs, 50), [1.0, 1.0, -1.0], "the state |001⟩, 50 shots"


def _grid(built):
    torch.manual_seed(0)
    means = torch.as_tensor(built(torch.tensor([0.33, 0.67]).double(), 10)).double()
    given = "probabilities 0.33 and 0.67, 10 shots: a mean of ten ±1 is a multiple of 0.2"
    return means, Near((means * 5).round() / 5, 1e-9), given


def _law(built):
    torch.manual_seed(0)
    probs = torch.tensor([0.2, 0.1, 0.3, 0.4]).double()
    means = torch.stack([torch.as_tensor(built(probs, 100)).double() for _ in range(800)])
    exact = torch.tensor([-0.4, 0.0]).double()
    law = ((1 - exact**2) / 100).sqrt()
    given = "800 repeats of 100 shots, two wires: the means, and the spreads of a mean"
    got = torch.cat([means.mean(0), means.std(0)])
    return got, Near(torch.cat([exact, law]), 5 * law.max().item() / math.sqrt(800)), given


def _zeros(n_qubits: int, samples: int = MANY) -> Tensor:
    states = torch.zeros(samples, *[2] * n_qubits, dtype=torch.complex128)
    states[(slice(None), *[0] * n_qubits)] = 1
    return states


def _means(states: Tensor) -> Tensor:
    return z_means(states.abs().square().reshape(len(states), -1).mean(0))


def _without_noise(built):
    states = _zeros(2, 5)
    got = torch.view_as_real(built(states.clone(), 0, 0.0).contiguous())
    return got, torch.view_as_real(states), "p = 0, five states of two wires"


def _normalised(built):
    torch.manual_seed(0)
    got = built(_zeros(2, 50), 1, 0.8)
    return got.abs().square().reshape(50, -1).sum(1), torch.ones(50), "p = 0.8, fifty states"


def _fully_mixed(built):
    torch.manual_seed(0)
    given = f"p = 1: ⟨Z⟩ of {MANY:,} samples"
    return _means(built(_zeros(1), 0, 1.0)), Near([0.0], 0.08), given


def _share_left(built):
    torch.manual_seed(0)
    given = f"p = 0.4 on wire 1 of |00⟩: ⟨Z⟩ of both wires, {MANY:,} samples"
    return _means(built(_zeros(2), 1, 0.4)), Near([1.0, 0.6], 0.06), given


def _share_of_x(built):
    torch.manual_seed(0)
    plus = torch.full((MANY, 2), 0.5**0.5, dtype=torch.complex128)
    states = built(plus, 0, 0.4)
    mean = (2 * states[:, 0].conj() * states[:, 1]).real.mean()
    return mean[None], Near([0.6], 0.06), f"p = 0.4, {MANY:,} times (|0⟩ + |1⟩)/√2: ⟨X⟩"

"""Predictions and builds of lesson 11: shots of a state, and Pauli noise by sampling."""

import math

import torch
from torch import Tensor

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction

prediction(
    "11.a",
    "100 shots give ⟨Z⟩ with some standard error. How many shots give half of it?",
    number=True,
)
prediction(
    "11.b",
    "A noisy chip measures ⟨Z⟩. Do ten thousand times as many shots give the exact value?",
    options=("yes", "no"),
    misconceptions={"yes": "noise shrinks the mean, and shots estimate the smaller mean"},
)
prediction(
    "11.c",
    "QTHA's circuit with 4 qubits and 2 layers takes 33 steps on a ring. How many on a line?",
    number=True,
)
prediction(
    "11.d",
    "One training step of SmolLM2 with QTHA, 512 tokens, 1,000 shots for each circuit: "
    "how long does a superconducting chip take?",
    options=("minutes", "hours", "weeks"),
    misconceptions={
        "minutes": "every token of every layer has its own circuit, and each gradient many more",
        "hours": "that would be the values alone, without the runs for the gradients",
    },
)


def _basis_state(built):
    probs = torch.zeros(4, dtype=torch.float64)
    probs[1] = 1
    return torch.as_tensor(built(probs, 50)).double(), [1.0, -1.0], "the state |01⟩, 50 shots"


def _grid(built):
    means = torch.as_tensor(built(torch.tensor([0.3, 0.7]).double(), 10)).double()
    on_grid = bool((means * 5 - (means * 5).round()).abs().max() < 1e-9)
    return on_grid, True, "10 shots: a mean of ten readings ±1 is a multiple of 0.2"


def _law(built):
    torch.manual_seed(0)
    probs = torch.tensor([0.2, 0.1, 0.3, 0.4]).double()
    means = torch.stack([torch.as_tensor(built(probs, 100)).double() for _ in range(800)])
    exact = torch.tensor([-0.4, 0.0]).double()
    law = ((1 - exact**2) / 100).sqrt()
    near = (means.mean(0) - exact).abs().max() < 5 * law.max() / math.sqrt(800)
    spread = (means.std(0) / law - 1).abs().max() < 0.15
    return (bool(near), bool(spread)), (True, True), "800 repeats of 100 shots"


build_task(
    "11.shots",
    "sampled_means",
    steps=(
        ("a basis state gives the same reading each time", _basis_state),
        ("the mean is that of whole readings", _grid),
        ("mean and spread follow the law of a ±1 variable", _law),
    ),
    tolerance=1e-9,
    solution="""
        def sampled_means(probs, shots):
            n_qubits = (len(probs) - 1).bit_length()
            drawn = torch.multinomial(probs, shots, replacement=True)
            bits = drawn[:, None] >> torch.arange(n_qubits - 1, -1, -1) & 1
            return (1 - 2 * bits).double().mean(0)
    """,
    setup="import torch",
)

MANY = 6000  # samples of a step with a statistical statement


def _zeros(n_qubits: int, samples: int = MANY) -> Tensor:
    states = torch.zeros(samples, *[2] * n_qubits, dtype=torch.complex128)
    states[(slice(None), *[0] * n_qubits)] = 1
    return states


def _means(states: Tensor) -> Tensor:
    probs = states.abs().square().reshape(len(states), -1).mean(0)
    n_qubits = states.dim() - 1
    bits = torch.arange(2**n_qubits)[:, None] >> torch.arange(n_qubits - 1, -1, -1) & 1
    return probs @ (1 - 2 * bits).double()


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
    mean = _means(built(_zeros(1), 0, 1.0))[0]
    return bool(abs(mean) < 0.08), True, f"p = 1: ⟨Z⟩ of {MANY:,} samples is near 0"


def _share_left(built):
    torch.manual_seed(0)
    means = _means(built(_zeros(2), 1, 0.4))
    near = abs(means[0] - 1) < 1e-9, abs(means[1] - 0.6) < 0.06
    return tuple(map(bool, near)), (True, True), "p = 0.4 on wire 1: means of 1 and 0.6"


build_task(
    "11.noise",
    "depolarise",
    steps=(
        ("without noise nothing changes", _without_noise),
        ("every sample stays a state of length one", _normalised),
        ("with p = 1 the wire is fully mixed", _fully_mixed),
        ("the share 1 - p of the wire is left, and the other wire keeps its mean", _share_left),
    ),
    tolerance=1e-9,
    solution="""
        def depolarise(states, wire, p):
            weights = torch.tensor([1 - 3 * p / 4, p / 4, p / 4, p / 4])
            drawn = torch.multinomial(weights, len(states), replacement=True)
            return apply_gate(states, PAULIS[drawn], [wire])
    """,
    setup="""
        import torch

        from qtha_lab.lessons import own_build

        apply_gate = own_build("3.gate")
        ONE, X = [[1, 0], [0, 1]], [[0, 1], [1, 0]]
        Y, Z = [[0, -1j], [1j, 0]], [[1, 0], [0, -1]]
        PAULIS = torch.tensor([ONE, X, Y, Z], dtype=torch.complex128)
    """,
)

"""Predictions and builds of lesson 3: a batched state-vector simulator."""

import numpy as np
import torch

from qtha_lab.lessons.builds import build_task
from qtha_lab.lessons.predictions import prediction
from qtha_lab.lessons.time_limit import ENGINE

prediction(
    "3.a",
    "RY(π/2) rotates wire 0, and a CNOT flips wire 1 where wire 0 is 1. What is ⟨Z⟩ of wire 1?",
    options=("1", "0", "-1"),
    answer="0",
    misconceptions={
        "1": "that is wire 1 before the CNOT",
        "-1": "the flip happens in half of the measurements only",
    },
)
prediction(
    "3.b",
    "p12 is the angle of the last rotation of wire 0. Which quantity can it never change?",
    options=("probabilities", "phases", "⟨Z⟩", "entropies"),
    answer="entropies",
    misconceptions={
        "probabilities": "a rotation moves weight between 0 and 1 of its wire",
        "phases": "signs of amplitudes change under RY",
        "⟨Z⟩": "the mean of wire 0 follows the angle",
    },
)
prediction(
    "3.c",
    "A simulator agrees with the package on 100 random inputs, with equal angles on all wires. "
    "Is it right?",
    options=("yes", "not known"),
    answer="not known",
    misconceptions={"yes": "equal angles make the circuit symmetric, so wires may be exchanged"},
)


def _random(*sizes: int) -> torch.Tensor:
    torch.manual_seed(0)
    values = torch.randn(*sizes, 2, dtype=torch.float64)
    return torch.view_as_complex(values)


def _one_wire(built):
    states, matrix = _random(2, 2, 2, 2), _random(2, 2)
    right = torch.einsum("ij,bxjz->bxiz", matrix, states)
    return _parts(built(states, matrix, [1])), _parts(right), "two states of 3 wires, wires [1]"


def _first_wire(built):
    states, matrix = _random(1, 2, 2, 2), _random(2, 2)
    right = torch.einsum("ij,bjyz->biyz", matrix, states)
    return _parts(built(states, matrix, [0])), _parts(right), "a state of 3 wires, wires [0]"


def _batch(built):
    states, matrices = _random(4, 2, 2, 2), _random(4, 2, 2)
    right = torch.einsum("bij,bxyj->bxyi", matrices, states)
    given = "four states of 3 wires with a matrix each, wires [2]"
    return _parts(built(states, matrices, [2])), _parts(right), given


def _two_wires(built):
    states, matrix = _random(2, 2, 2, 2), _random(4, 4)
    right = torch.einsum("acpq,bqyp->bcya", matrix.reshape(2, 2, 2, 2), states)
    return _parts(built(states, matrix, [2, 0])), _parts(right), "two states, wires [2, 0]"


def _parts(values: torch.Tensor) -> torch.Tensor:
    """Return real and imaginary parts side by side."""
    return torch.view_as_real(torch.as_tensor(values).to(torch.complex128).contiguous())


GATE = """
    def apply_gate(states, matrix, wires):
        axes, k = [wire + 1 for wire in wires], len(wires)
        last = list(range(-k, 0))
        moved = states.movedim(axes, last)
        flat = moved.reshape(len(states), -1, 2**k)
        result = flat @ matrix.to(states.dtype).mT
        return result.reshape(moved.shape).movedim(last, axes)
"""
build_task(
    "3.gate",
    "apply_gate",
    steps=(
        ("a matrix acts on the middle wire", _one_wire),
        ("wire 0 is the first axis after the batch", _first_wire),
        ("each sample may have its own matrix", _batch),
        ("two wires take a 4 × 4 matrix, in their order", _two_wires),
    ),
    tolerance=1e-9,
    solution=GATE,
    setup="import torch",
)


def _basis(built):
    states = torch.zeros(2, 2, 2, 2, dtype=torch.complex128)
    states[0, 0, 0, 0] = states[1, 0, 1, 1] = 1
    return built(states), [[1, 1, 1], [1, -1, -1]], "the states |000⟩ and |011⟩"


def _bell(built):
    states = torch.tensor([[[1, 0], [0, 1]]], dtype=torch.complex128) / 2**0.5
    return built(states), [[0, 0]], "(|00⟩ + |11⟩)/√2"


def _package_means(built):
    states = _random(3, 2, 2, 2)
    states = states / states.flatten(1).norm(dim=1).reshape(-1, 1, 1, 1)
    probs = states.abs().square().reshape(3, -1).numpy()
    bits = (np.arange(8)[:, None] >> np.array([2, 1, 0])) & 1
    return built(states), probs @ (1 - 2 * bits), "three random states of 3 wires"


MEAN = """
    def mean_z(states):
        probs, n = states.abs() ** 2, states.ndim - 1
        pairs = [probs.movedim(wire + 1, -1).reshape(len(probs), -1, 2).sum(1) for wire in range(n)]
        return torch.stack([pair[:, 0] - pair[:, 1] for pair in pairs], dim=-1)
"""
build_task(
    "3.mean",
    "mean_z",
    steps=(
        ("a basis state has means +1 and -1", _basis),
        ("the Bell pair has means of zero", _bell),
        ("random states have the means of their probabilities", _package_means),
    ),
    tolerance=1e-9,
    solution=MEAN,
    setup="import torch",
)


def _circuit(n_qubits: int, n_layers: int):
    from qtha_lab.circuits import ansatze
    from qtha_lab.simulators import expval_z

    circuit = ansatze.build("qtha", n_qubits, n_layers)
    torch.manual_seed(1)
    h = torch.randn(5, n_qubits, dtype=torch.float64)
    angles = torch.randn(circuit.n_params, dtype=torch.float64)
    return h, angles, lambda h, angles: expval_z(circuit, h, angles, ENGINE)


def _without_angles(built):
    h, angles, _ = _circuit(3, 1)
    return built(h, torch.zeros_like(angles), 1), torch.cos(h), "all trained angles zero, L = 1"


def _one_layer(built):
    h, angles, right = _circuit(3, 1)
    return built(h, angles, 1), right(h, angles), "3 qubits, one layer, random angles"


def _three_layers(built):
    h, angles, right = _circuit(4, 3)
    return built(h, angles, 3), right(h, angles), "4 qubits, three layers, random angles"


def _gradient(built):
    h, angles, right = _circuit(3, 2)
    angles.requires_grad_()
    weights = torch.arange(1.0, 4.0, dtype=torch.float64)
    results = [f.mul(weights).sum() for f in (built(h, angles, 2), right(h, angles))]
    ours, theirs = (torch.autograd.grad(result, angles)[0] for result in results)
    return ours, theirs, "the gradient of all angles, 3 qubits, two layers"


GATES = """
    def ry(angle):
        c, s = torch.cos(angle / 2), torch.sin(angle / 2)
        return torch.stack([torch.stack([c, -s], -1), torch.stack([s, c], -1)], -2)


    def crz(angle):
        phase, one = torch.exp(0.5j * angle), torch.ones_like(angle)
        return torch.diag_embed(torch.stack([one, one, phase.conj(), phase], -1))
"""
CIRCUIT = """
    def qtha_circuit(h, angles, n_layers):
        n = h.shape[-1]
        states = torch.zeros(len(h), 2**n, dtype=torch.complex128)
        states[:, 0] = 1
        states = states.reshape(len(h), *[2] * n)
        for layer in angles.reshape(n_layers, 4, n):
            for i in range(n):
                states = apply_gate(states, ry(h[:, i]), [i])
            for k, step in ((0, 1), (2, -1)):
                for i in range(n):
                    states = apply_gate(states, crz(layer[k, i]), [i, (i + step) % n])
                for i in range(n):
                    states = apply_gate(states, ry(layer[k + 1, i]), [i])
        return mean_z(states).to(h.dtype)
"""


def _flush(*codes: str) -> str:
    """Join code blocks, each without its first indentation."""
    return "import torch\n" + "\n".join(code.replace("\n    ", "\n") for code in codes)


build_task(
    "3.circuit",
    "qtha_circuit",
    steps=(
        ("without trained angles it is the cosine of the data", _without_angles),
        ("one layer equals the package's circuit", _one_layer),
        ("three layers equal the package's circuit", _three_layers),
        ("the gradients of all angles are equal", _gradient),
    ),
    tolerance=1e-6,
    solution=CIRCUIT,
    setup=_flush(GATE, MEAN, GATES),
)

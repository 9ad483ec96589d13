"""Checks of lesson 3: rotations, states with given means, and a batched simulator."""

import math

import numpy as np
import torch

from qtha_lab.lessons import grading
from qtha_lab.lessons.graders.shared import (
    BELL,
    ENGINE,
    normalised_states,
    random_states,
    real_parts,
    z_means,
)

SIGNS = np.array([[1, 1, -1, -1], [1, -1, 1, -1]])  # eigenvalues of Z₀ and Z₁


def _rotations():
    random = torch.Generator().manual_seed(0)
    for n, wire, angle in ((3, 0, 0.8), (3, 2, -1.3), (3, 1, 0.4), (2, 0, 2.0)):
        state = torch.randn((2,) * n, generator=random, dtype=torch.float64)
        state = state / state.norm()
        c, s = np.cos(angle / 2), np.sin(angle / 2)
        matrix = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
        right = torch.einsum("ab,b...->a...", matrix, state.movedim(wire, 0)).movedim(0, wire)
        yield (state, wire, angle), right


_rotate = grading.Function(
    _rotations,
    label=lambda state, wire, angle: (
        f"a random state of {state.ndim} wires, wire {wire} and angle {angle:g}"
    ),
    rtol=1e-9,
    atol=1e-9,
)


def _three_angles():
    draws = torch.Generator().manual_seed(1)
    for _ in range(3):
        a, x, b = (torch.randn(5, generator=draws, dtype=torch.float64) for _ in range(3))
        yield (a, x, b), torch.cos(a + x + b)


_one_qubit = grading.Function(
    _three_angles, label=lambda *angles: "five random angles each", rtol=1e-9, atol=1e-12
)


def _pairs():
    for t in (0.0, 0.4, math.pi / 2, 2.5):
        p = math.cos(t / 2) ** 2
        yield (t,), -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


_pair_entropy = grading.Function(_pairs)


def _vectors(states):
    vectors = [np.asarray(state, dtype=complex).reshape(-1) for state in states]
    return vectors if [v.size for v in vectors] == [4, 4, 4] else []


def _are_vectors(states) -> bool:
    return bool(_vectors(states))


def _have_length_one(states) -> bool:
    return np.allclose([np.linalg.norm(v) for v in _vectors(states)], 1, atol=1e-4)


def _have_means_of_zero(states) -> bool:
    return np.allclose([SIGNS @ np.abs(v) ** 2 for v in _vectors(states)], 0, atol=1e-4)


def _is_correlated(states, at: int, value: float) -> bool:
    probs = np.abs(_vectors(states)[at]) ** 2
    return bool(np.isclose(SIGNS.prod(axis=0) @ probs, value, atol=1e-3))


def _is_entangled(states) -> bool:
    values = np.linalg.svd(_vectors(states)[2].reshape(2, 2), compute_uv=False) ** 2
    return _is_correlated(states, 2, 0) and np.allclose(values, 0.5, atol=1e-4)


def _one_wire(built):
    states, matrix = random_states(2, 2, 2, 2), random_states(2, 2)
    right = torch.einsum("ij,bxjz->bxiz", matrix, states)
    given = "two states of 3 wires, wires [1]"
    return real_parts(built(states, matrix, [1])), real_parts(right), given


def _first_wire(built):
    states, matrix = random_states(1, 2, 2, 2), random_states(2, 2)
    right = torch.einsum("ij,bjyz->biyz", matrix, states)
    given = "a state of 3 wires, wires [0]"
    return real_parts(built(states, matrix, [0])), real_parts(right), given


def _matrix_per_sample(built):
    states, matrices = random_states(4, 2, 2, 2), random_states(4, 2, 2)
    right = torch.einsum("bij,bxyj->bxyi", matrices, states)
    given = "four states of 3 wires with a matrix each, wires [2]"
    return real_parts(built(states, matrices, [2])), real_parts(right), given


def _two_wires(built):
    states, matrix = random_states(2, 2, 2, 2), random_states(4, 4)
    right = torch.einsum("acpq,bqyp->bcya", matrix.reshape(2, 2, 2, 2), states)
    given = "two states, wires [2, 0]"
    return real_parts(built(states, matrix, [2, 0])), real_parts(right), given


def _basis(built):
    states = torch.zeros(2, 2, 2, 2, dtype=torch.complex128)
    states[0, 0, 0, 0] = states[1, 0, 1, 1] = 1
    return built(states), [[1, 1, 1], [1, -1, -1]], "the states |000⟩ and |011⟩"


def _bell(built):
    return built(BELL), [[0, 0]], "(|00⟩ + |11⟩)/√2"


def _package_means(built):
    states = normalised_states(3, 3)
    right = z_means(states.abs().square().reshape(3, -1))
    return built(states), right, "three random states of 3 wires"


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


def _angle_gradients(built):
    h, angles, right = _circuit(3, 2)
    angles.requires_grad_()
    weights = torch.arange(1.0, 4.0, dtype=torch.float64)
    results = [f.mul(weights).sum() for f in (built(h, angles, 2), right(h, angles))]
    ours, theirs = (torch.autograd.grad(result, angles)[0] for result in results)
    return ours, theirs, "the gradient of all angles, 3 qubits, two layers"

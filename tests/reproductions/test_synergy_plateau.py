"""Synergy: the deep circuit has a plateau, which an initial matrix product state avoids."""

import functools
import math

import numpy as np
import pennylane as qml
import pytest
import torch

from qtha_lab.reproductions.synergy import DEEP, PREPARED, deep_circuit, squared_gradient
from qtha_lab.tasks.problems.hamiltonians import ising_terms

pytest.importorskip("quimb")
SEEDS = range(5)


@functools.cache
def mean_gradient(arm: str, n: int) -> float:
    return float(np.mean([squared_gradient(arm, n, seed) for seed in SEEDS]))


def test_the_gradient_is_that_of_pennylane():
    n = 4
    circuit, per_layer = deep_circuit(n), 15 * (n - 1)
    assert circuit.n_params == per_layer * (PREPARED + DEEP)
    strings, factors = ising_terms(n)
    observable = qml.Hamiltonian(
        factors, [qml.pauli.string_to_pauli_word(w) for w in words(strings, n)]
    )

    angles = np.random.default_rng(0).uniform(-math.pi, math.pi, circuit.n_params)
    angles = torch.tensor(angles, requires_grad=True)
    script = qml.tape.QuantumScript(
        circuit.to_pennylane(torch.empty(0), angles), [qml.expval(observable)]
    )
    (energy,) = qml.execute([script], qml.device("default.qubit"), diff_method="backprop")
    (gradient,) = torch.autograd.grad(energy, angles)
    expected = gradient[per_layer * PREPARED :].square().mean().item()
    assert squared_gradient("uniform", n, 0) == pytest.approx(expected, rel=1e-8)


def words(strings: list[str], n: int) -> list[str]:
    """Write terms such as Z0 Z1 as letters per wire, such as ZZII."""
    letters = [{int(part[1:]): part[0] for part in term.split()} for term in strings]
    return ["".join(of.get(wire, "I") for wire in range(n)) for of in letters]


@pytest.mark.slow
def test_uniform_angles_have_a_plateau_in_ten_brickwork_layers():
    gradients = [mean_gradient("uniform", n) for n in (6, 8, 10, 12)]
    assert gradients == sorted(gradients, reverse=True)
    assert gradients[0] / gradients[-1] > 5  # halves at least per two qubits: 2³ from 6 to 12


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["chi1", "chi2"])
def test_a_matrix_product_state_has_no_plateau(arm):
    assert mean_gradient(arm, 6) / mean_gradient(arm, 12) < 2

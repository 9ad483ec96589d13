"""The small problems behind the reproductions of starts and of search.

Energies, cuts and labels that are known.
"""

import functools
import itertools
import math

import numpy as np
import pytest
import torch

from qtha_lab.adapters.initialisation.angles.mps import decompose
from qtha_lab.figures import steps_to_target
from qtha_lab.reproductions.flip import circuit_of, problem, steps_by_size
from qtha_lab.tasks.problems.hamiltonians import (
    Graph,
    ground_energy,
    ground_state_mps,
    ising_terms,
    random_graph,
)
from qtha_lab.tasks.problems.small_circuit_labels import labelled_points

PAULIS = {"X": np.array([[0.0, 1.0], [1.0, 0.0]]), "Z": np.diag([1.0, -1.0])}


def dense_ising(n):
    total = np.zeros((2**n, 2**n))
    for text, factor in zip(*ising_terms(n), strict=True):
        letters = {int(word[1:]): PAULIS[word[0]] for word in text.split()}
        total += factor * functools.reduce(np.kron, [letters.get(i, np.eye(2)) for i in range(n)])
    return total


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_lowest_energy_is_that_of_exact_diagonalisation(n):
    assert ground_energy(n) == pytest.approx(np.linalg.eigvalsh(dense_ising(n))[0], abs=1e-10)


@pytest.mark.slow
def test_a_larger_bond_starts_at_a_lower_energy_and_gates_keep_it():
    pytest.importorskip("quimb")
    n, matrix = 6, dense_ising(6)
    states = [ground_state_mps(n, bond_dim) for bond_dim in (1, 2, 4)]
    energies = [float(state @ matrix @ state) for state in states]
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] == pytest.approx(ground_energy(n), rel=1e-4)
    assert decompose(states[1], 1).fidelity > 1 - 1e-9  # bond 2 is one staircase exactly


@pytest.mark.slow
def test_the_ground_state_has_the_same_bits_at_every_call():
    """Bond 1 of 4 spins, whose search ends in another state at nearly every random start."""
    pytest.importorskip("quimb")
    states = [ground_state_mps(n, bond_dim) for n, bond_dim in ((4, 1), (6, 2)) for _ in range(3)]
    assert len({state.tobytes() for state in states[:3]}) == 1
    assert len({state.tobytes() for state in states[3:]}) == 1


def test_the_best_cut_of_a_ring_leaves_one_edge_where_its_length_is_odd():
    for n in (3, 4, 5, 6):
        ring = tuple((i, (i + 1) % n) for i in range(n))
        assert Graph(n, ring, (1.0,) * n).best_cut == n - n % 2


def test_angles_of_zero_cut_half_of_every_graph():
    for weighted in (False, True):
        graph = random_graph(5, seed=2, weighted=weighted)
        zero = torch.zeros(circuit_of(graph).n_params, dtype=torch.float64)
        assert -problem(graph).cost(zero).item() == pytest.approx(sum(graph.weights) / 2)


def test_no_angles_cut_more_than_the_best_cut_and_an_edge_can_be_cut_whole():
    """One edge, one layer of use.

    After turns by π/2 about ZZ and by π/2 about X the two nodes always differ.
    """
    edge = Graph(2, ((0, 1),), (1.0,))
    cost = problem(edge).cost
    half = math.pi / 2
    values = [
        -cost(torch.tensor([a, b, b, 0.0, 0.0, 0.0], dtype=torch.float64)).item()
        for a, b in itertools.product((-half, half), (-half / 2, half / 2))
    ]
    assert max(values) == pytest.approx(1)
    drawn = 6 * torch.rand(20, 6, dtype=torch.float64)
    assert max(-cost(angles).item() for angles in drawn) <= 1 + 1e-12


def test_labels_are_balanced_and_sets_share_no_point():
    first, second = labelled_points((20, 10), seed=1)
    assert first.labels.sum() == 10
    assert second.labels.sum() == 5
    assert not {tuple(x) for x in first.inputs.tolist()} & {
        tuple(x) for x in second.inputs.tolist()
    }
    assert torch.equal(labelled_points((20, 10), seed=1)[0].inputs, first.inputs)


def test_steps_to_the_target_are_counted_by_size():
    points = steps_by_size(seeds=1, arms=("uniform", "table"), quick=True)
    starts = [(point["label"], point["n_nodes"]) for point in points]
    assert starts == [("uniform", 6), ("uniform", 7), ("table", 6), ("table", 7)]
    assert all(0 <= point["steps_to_target"] <= 21 for point in points)  # one more than all steps
    assert "table" in steps_to_target(points).alt

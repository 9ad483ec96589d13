"""Bonds, entanglement and factorisations.

Textbook gates and states, tensorly, quimb, opt_einsum.
"""

import math

import numpy as np
import pytest
import tensorly
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from support.refusals import refused
from tensorly.decomposition import tensor_train

from qtha_lab.analysis.networks.bonds import bonds_of, truncate
from qtha_lab.analysis.networks.factorisation import (
    Decomposed,
    contraction_flops,
    permute_digits,
    truncation_curve,
)
from qtha_lab.tensor_networks import mpo

CNOT = torch.eye(4, dtype=torch.float64)[[0, 1, 3, 2]]
SWAP = torch.eye(4, dtype=torch.float64)[[0, 2, 1, 3]]


def operator(matrix, out_dims, in_dims):
    return mpo.from_matrix(matrix, out_dims, in_dims)


def random_matrix(rows, cols, seed=0):
    random = torch.Generator().manual_seed(seed)
    return torch.randn(rows, cols, generator=random, dtype=torch.float64)


# what is known


def rank(bond):
    return int((bond.values > 1e-10 * bond.values[0]).sum())


@pytest.mark.parametrize(
    ("gate", "values"),
    [
        (torch.kron(random_matrix(2, 2), random_matrix(2, 2, 1)), None),  # one term
        (CNOT, [math.sqrt(2)] * 2),  # |0⟩⟨0| ⊗ 1 + |1⟩⟨1| ⊗ X: 1·√2 twice
        (SWAP, [1.0] * 4),  # (1⊗1 + X⊗X + Y⊗Y + Z⊗Z) / 2, each Pauli pair of norm 2
    ],
    ids=["kronecker", "cnot", "swap"],
)
def test_bonds_of_textbook_gates(gate, values):
    (bond,) = bonds_of(*operator(gate, (2, 2), (2, 2)))
    expected = 1 if values is None else len(values)
    assert rank(bond) == expected
    assert bond.entropy_bits == pytest.approx(math.log2(expected), abs=1e-9)
    if values is not None:
        np.testing.assert_allclose(bond.values[:expected], values)
    assert truncate(*operator(gate, (2, 2), (2, 2)), cutoff=1e-9)[1].bonds == (1, expected, 1)


def test_a_zero_operator_has_no_entanglement():
    (bond,) = bonds_of(*operator(torch.zeros(4, 4), (2, 2), (2, 2)))
    assert bond.entropy_bits == 0


# the gauge does not matter


@given(seed=st.integers(0, 999))
@settings(max_examples=20, deadline=None)
def test_values_are_those_of_the_unfolded_matrix_in_any_gauge(seed):
    shape = mpo.MpoShape((3, 2, 4), (2, 3, 2), (1, 4, 3, 1))
    cores = [random_matrix(*size, seed + k) for k, size in enumerate(shape.core_shapes)]
    legs = mpo.dense(cores, shape).reshape(2, 3, 2, 3, 2, 4)
    first, second = bonds_of(cores, shape)
    by_hand = torch.linalg.svdvals(legs.permute(0, 3, 1, 4, 2, 5).reshape(6, -1)).numpy()
    np.testing.assert_allclose(first.values, by_hand[: len(first.values)], atol=1e-9 * by_hand[0])
    by_hand = torch.linalg.svdvals(legs.permute(0, 3, 1, 4, 2, 5).reshape(-1, 8)).numpy()
    np.testing.assert_allclose(second.values, by_hand[: len(second.values)], atol=1e-9 * by_hand[0])
    assert [first.dimension, second.dimension] == [4, 3]


@pytest.mark.slow
def test_bonds_agree_with_quimb():
    # here: it compiles for a minute where that was never done, in each process that imports it
    import quimb.tensor as tn

    matrix = random_matrix(24, 36)
    result = bonds_of(*operator(matrix, (4, 3, 2), (3, 4, 3)))
    legs = matrix.reshape(4, 3, 2, 3, 4, 3).permute(0, 3, 1, 4, 2, 5).reshape(-1)
    state = tn.MatrixProductState.from_dense((legs / legs.norm()).numpy(), dims=[12, 12, 6])
    for bond in result:
        theirs = state.schmidt_values(bond.position)  # squares, in any order
        np.testing.assert_allclose(
            np.sort(theirs)[::-1], bond.values**2 / float(matrix.norm()) ** 2
        )
        assert bond.entropy_bits == pytest.approx(state.entropy(bond.position))


def test_a_cut_decomposition_agrees_with_tensorly():
    matrix = random_matrix(24, 36)
    pairs = matrix.reshape(4, 3, 2, 3, 4, 3).permute(0, 3, 1, 4, 2, 5).reshape(12, 12, 6)
    theirs = tensorly.tt_to_tensor(tensor_train(pairs.numpy(), rank=[1, 5, 4, 1]))
    cores, shape = mpo.from_matrix(matrix, (4, 3, 2), (3, 4, 3), max_bond=5)
    cores, shape, _ = truncate(cores, shape, 5)
    ours = truncate(*mpo.from_matrix(matrix, (4, 3, 2), (3, 4, 3)), 5)[1]
    assert ours.bonds == (1, 5, 5, 1)
    error = np.linalg.norm(pairs.numpy() - theirs)
    cut = mpo.dense(*mpo.from_matrix(matrix, (4, 3, 2), (3, 4, 3), max_bond=4)[:2])
    # theirs keeps 5 and 4, ours 4 and 4 or 5 and 5: the error lies between
    best = float((matrix - mpo.dense(cores, shape)).norm())
    assert best <= error <= float((matrix - cut).norm())


# truncation


@given(max_bond=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_stated_error_is_the_error(max_bond, seed):
    matrix = random_matrix(12, 18, seed)
    cores, shape, cut = truncate(*operator(matrix, (3, 2, 2), (3, 3, 2)), max_bond)
    assert max(shape.bonds) <= max_bond
    error = float((matrix - mpo.dense(cores, shape)).norm())
    assert math.sqrt(sum(b.cut**2 for b in cut)) == pytest.approx(error, abs=1e-9)
    (point,) = truncation_curve(matrix, (3, 2, 2), (3, 3, 2), (max_bond,))
    assert point.relative_error == pytest.approx(error / float(matrix.norm()), abs=1e-9)
    assert point.n_parameters == shape.n_parameters


def test_the_curve_falls_to_zero_where_the_bonds_are_full():
    matrix = random_matrix(16, 16)
    curve = truncation_curve(matrix, (4, 2, 2), (4, 2, 2), (1, 2, 4, 8, 16))
    errors = [point.relative_error for point in curve]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] == pytest.approx(0, abs=1e-12)
    assert curve[-1].bonds == (1, 16, 4, 1)
    assert [point.n_parameters for point in curve[:2]] == [16 + 4 + 4, 2 * 16 + 4 * 4 + 2 * 4]
    assert {point.dense_parameters for point in curve} == {256}


def test_two_sites_cut_at_the_best_possible_error():
    # one bond: the optimum is the tail of singular values of the unfolded matrix (Eckart, Young)
    matrix = random_matrix(8, 8)
    pairs = matrix.reshape(4, 2, 4, 2).permute(0, 2, 1, 3).reshape(16, 4)
    tail = torch.linalg.svdvals(pairs)[3:].norm() / matrix.norm()
    assert truncation_curve(matrix, (4, 2), (4, 2), (3,))[0].relative_error == pytest.approx(
        float(tail)
    )


def test_a_large_matrix_is_cut_first_and_its_error_is_still_right(monkeypatch):
    monkeypatch.setattr("qtha_lab.analysis.networks.factorisation.LARGEST", 4)
    matrix = random_matrix(16, 16)
    (point,) = truncation_curve(matrix, (4, 2, 2), (4, 2, 2), (3,))
    cores, shape = mpo.from_matrix(matrix, (4, 2, 2), (4, 2, 2), max_bond=3)
    error = float((matrix - mpo.dense(cores, shape)).norm() / matrix.norm())
    assert point.relative_error == pytest.approx(error)


# choice of factors and order


def test_digits_change_places():
    a, b, c = random_matrix(2, 3), random_matrix(3, 2, 1), random_matrix(2, 2, 2)
    moved = permute_digits(torch.kron(torch.kron(a, b), c), (2, 3, 2), (3, 2, 2), (2, 0, 1))
    torch.testing.assert_close(moved, torch.kron(torch.kron(c, a), b))


def test_the_order_of_entangled_neighbours_needs_smaller_bonds():
    # digits 0 and 2 share a swap, digit 1 stands alone: side by side, 0 and 2 need one bond of 4;
    # in the straight chain both bonds are crossed
    swapped = permute_digits(torch.kron(SWAP, torch.eye(2).double()), (2,) * 3, (2,) * 3, (0, 2, 1))
    straight, side_by_side = (Decomposed.of(swapped, 3, order) for order in ((0, 1, 2), (0, 2, 1)))
    assert [*map(rank, straight.bonds)] == [4, 4]
    assert [*map(rank, side_by_side.bonds)] == [4, 1]
    assert side_by_side.cut([4, 1]).relative_error < 1e-7
    with refused("order", "(0, 0)"):
        Decomposed.of(torch.eye(4), 2, (0, 0))


# operations


def test_operations_of_one_site_are_those_of_a_dense_product():
    assert contraction_flops(mpo.MpoShape((5,), (3,), (1, 1))) == 2 * 15


@pytest.mark.parametrize(
    ("what", "setting", "value", "rule"),
    [
        (
            lambda: truncate(*operator(CNOT, (2, 2), (2, 2)), 0),
            "max_bond",
            "0",
            "",
        ),
        (
            lambda: truncation_curve(torch.eye(4), (2, 2), (2, 2), ()),
            "max_bonds",
            "()",
            "",
        ),
        (
            lambda: truncation_curve(torch.eye(4), (2, 3), (2, 2)),
            "out_dims",
            "(2, 3) (6)",
            "",
        ),
        (
            lambda: truncate(*operator(CNOT, (2, 2), (2, 2)), [1, 1]),
            "max_bond",
            "",
            "for one bond or each of 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(what, setting, value, rule):
    with refused(setting, value, rule=rule):
        what()

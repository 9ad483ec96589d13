"""Matrix product operators against dense matrices, hand arithmetic and tensorly."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.tensor_networks import mpo
from qtha_lab.tensor_networks.factors import AUTHORS_DIMS, factorise


def random_operator(in_dims, out_dims, bond, dtype=torch.float64):
    torch.manual_seed(0)
    shape = mpo.MpoShape.uniform(in_dims, out_dims, bond)
    return [torch.randn(core, dtype=dtype) for core in shape.core_shapes], shape


# sizes


@given(size=st.integers(1, 20_000), n_sites=st.integers(1, 6))
def test_factors_multiply_to_the_size_largest_first(size, n_sites):
    dims = factorise(size, n_sites)
    assert math.prod(dims) == size
    assert len(dims) == n_sites
    assert list(dims) == sorted(dims, reverse=True)


@given(size=st.integers(1, 400))
def test_no_other_three_factors_have_a_smaller_sum(size):
    least = min(
        a + b + size // (a * b)
        for a in range(1, size + 1)
        if size % a == 0
        for b in range(1, size // a + 1)
        if (size // a) % b == 0
    )
    assert sum(factorise(size, 3)) == least


@pytest.mark.parametrize(("size", "dims"), AUTHORS_DIMS.items())
def test_the_authors_table_is_reproduced_with_four_sites(size, dims):
    assert factorise(size, 4) == dims
    assert math.prod(dims) == size


def test_other_counts_of_sites_are_balanced_even_where_the_table_has_the_size():
    assert factorise(27648, 4) == (27, 16, 8, 8)
    assert factorise(27648, 2) == (192, 144)


def test_a_prime_gets_ones():
    assert factorise(13, 4) == (13, 1, 1, 1)


@pytest.mark.parametrize(
    ("override", "setting", "value"),
    [
        ((4, 4), "in_dims", "(4, 4) (16)"),
        ((8, 4), "in_dims", "(8, 4)"),
        ((-4, -8, 1), "in_dims", "(-4, -8, 1)"),
    ],
)
def test_an_override_that_does_not_fit_is_refused(override, setting, value):
    with refused(setting, value):
        factorise(32, 3, override)


def test_an_override_that_fits_is_taken_as_it_is():
    assert factorise(32, 3, [2, 8, 2]) == (2, 8, 2)


def test_parameters_are_counted_as_in_the_paper():
    # 3584 → 256: 4·8·1·8 + 4·8·8·8 + 4·8·8·8 + 4·1·8·7 = 256 + 2048 + 2048 + 224
    shape = mpo.MpoShape.uniform((8, 8, 8, 7), (4, 4, 4, 4), 8)
    assert shape.n_parameters == 4576
    assert sum(math.prod(core) for core in shape.core_shapes) == 4576


# application


@pytest.mark.parametrize("tokens", [1, 3, 500])
@pytest.mark.parametrize(
    ("in_dims", "out_dims", "bond"),
    [
        ((4, 3, 2), (2, 2, 3), 3),
        ((6, 6, 4, 4), (2, 2, 2, 2), 4),
        ((7,), (5,), 2),
        ((5, 1), (1, 3), 2),
    ],
)
def test_applying_equals_the_dense_map_both_ways(in_dims, out_dims, bond, tokens):
    cores, shape = random_operator(in_dims, out_dims, bond)
    matrix = mpo.dense(cores, shape)
    x = torch.randn(2, tokens, shape.in_features, dtype=torch.float64)
    y = torch.randn(2, tokens, shape.out_features, dtype=torch.float64)
    torch.testing.assert_close(mpo.apply(cores, shape, x), x @ matrix.T)
    torch.testing.assert_close(mpo.apply_transposed(cores, shape, y), y @ matrix)


@pytest.mark.parametrize("route", [True, False])
@pytest.mark.parametrize("transposed", [False, True])
def test_both_routes_give_the_same_numbers_and_gradients(route, transposed, monkeypatch):
    cores, shape = random_operator((4, 3, 2), (2, 4, 3), 3)
    monkeypatch.setattr(mpo, "takes_dense_route", lambda *_: route)
    cores = [core.requires_grad_() for core in cores]
    x = torch.randn(6, 24, dtype=torch.float64)
    apply = mpo.apply_transposed if transposed else mpo.apply
    assert torch.autograd.gradcheck(lambda *c: apply(c, shape, x).tanh(), cores)


def test_function_transforms_go_through_the_operator():
    cores, shape = random_operator((3, 2), (2, 2), 2)
    x = torch.randn(6, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda v: mpo.apply(cores, shape, v))(x)
    torch.testing.assert_close(jacobian, mpo.dense(cores, shape))


def test_few_tokens_on_a_large_operator_go_site_by_site_and_many_go_dense():
    shape = mpo.MpoShape.uniform((8, 8, 8, 7), (4, 4, 4, 4), 8)
    assert not mpo.takes_dense_route(shape, 8)
    assert mpo.takes_dense_route(shape, 2048)


def test_an_empty_batch_gives_an_empty_result():
    cores, shape = random_operator((4, 3), (2, 2), 2)
    x = torch.empty(0, 12, dtype=torch.float64)
    assert mpo.apply(cores, shape, x).shape == (0, 4)


def test_the_first_site_is_the_most_significant_digit():
    # One site flips, the other copies: (j₁, j₂) ← (1 - i₁, i₂), so index 0 = (0, 0) goes to 2 = (1,
    # 0).
    flip, copy = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.eye(2)
    shape = mpo.MpoShape((2, 2), (2, 2), (1, 1, 1))
    assert mpo.apply([flip, copy], shape, torch.eye(4)[0]).tolist() == [0, 0, 1, 0]


def test_each_entry_is_a_product_of_bond_matrices():
    cores, shape = random_operator((3, 2), (2, 2), 4)
    first, second = (c.reshape(s) for c, s in zip(cores, shape.sites, strict=True))
    by_hand = first[1, :, 0, 2] @ second[0, 0, :, 1]
    assert mpo.dense(cores, shape)[1 * 2 + 0, 2 * 2 + 1] == pytest.approx(float(by_hand))


def test_the_norm_needs_no_dense_map():
    cores, shape = random_operator((4, 3, 2), (2, 4, 3), 3)
    torch.testing.assert_close(mpo.norm(cores, shape), mpo.dense(cores, shape).norm())


# the start


def test_kaiming_cores_have_the_authors_variance():
    torch.manual_seed(0)
    cores = [torch.empty(400, 300)]
    mpo.kaiming_(cores)
    assert float(cores[0].var()) == pytest.approx(2 / 300, rel=0.02)


@pytest.mark.parametrize(
    ("in_features", "out_features", "bond"),
    [(576, 64, 4), (64, 576, 4), (192, 16, 3), (256, 512, 8)],
)
def test_a_balanced_start_has_singular_values_near_one(in_features, out_features, bond):
    torch.manual_seed(0)
    shape = mpo.MpoShape.uniform(factorise(in_features, 4), factorise(out_features, 4), bond)
    cores = [torch.empty(core) for core in shape.core_shapes]
    mpo.balanced_(cores, shape)
    values = torch.linalg.svdvals(mpo.dense(cores, shape))
    assert float(values.square().mean().sqrt()) == pytest.approx(1, abs=1e-4)
    assert values.max() < 2.5
    assert values.min() > 0.1


# decomposition


def test_the_mpo_of_a_kronecker_product_has_bond_one():
    torch.manual_seed(0)
    product = torch.kron(torch.kron(torch.randn(2, 3), torch.randn(4, 2)), torch.randn(3, 3))
    cores, shape = mpo.from_matrix(product, (2, 4, 3), (3, 2, 3), cutoff=1e-5)
    assert shape.bonds == (1, 1, 1, 1)
    torch.testing.assert_close(mpo.dense(cores, shape), product, atol=1e-5, rtol=1e-4)


def test_a_sum_of_two_kronecker_products_has_bond_two():
    torch.manual_seed(0)
    total = sum(torch.kron(torch.randn(4, 4), torch.randn(3, 5)) for _ in range(2))
    assert mpo.from_matrix(total, (4, 3), (4, 5), cutoff=1e-5)[1].bonds == (1, 2, 1)


def test_without_truncation_the_decomposition_is_exact():
    matrix = torch.randn(24, 30, dtype=torch.float64)
    cores, shape = mpo.from_matrix(matrix, (4, 3, 2), (5, 3, 2))
    assert shape.bonds == (1, 20, 4, 1)  # min(4·5, 6·6), min(12·15, 2·2)
    torch.testing.assert_close(mpo.dense(cores, shape), matrix)


def test_the_cut_of_two_sites_is_the_best_there_is():
    # Eckart and Young: the error of a truncation is the root of the squares left out.
    torch.manual_seed(0)
    matrix = torch.randn(12, 12, dtype=torch.float64)
    across = matrix.reshape(4, 3, 4, 3).permute(0, 2, 1, 3).reshape(16, 9)
    left_out = torch.linalg.svdvals(across)[4:].square().sum().sqrt()
    cores, shape = mpo.from_matrix(matrix, (4, 3), (4, 3), max_bond=4)
    torch.testing.assert_close((mpo.dense(cores, shape) - matrix).norm(), left_out)


def test_tensorly_finds_the_same_truncation():
    tensorly = pytest.importorskip("tensorly")
    from tensorly.decomposition import tensor_train_matrix

    torch.manual_seed(0)
    matrix = torch.randn(24, 30, dtype=torch.float64)
    cores, shape = mpo.from_matrix(matrix, (4, 3, 2), (5, 3, 2), max_bond=3)
    theirs = tensor_train_matrix(matrix.reshape(4, 3, 2, 5, 3, 2).numpy(), rank=[1, 3, 3, 1])
    dense = tensorly.tt_matrix.tt_matrix_to_matrix(theirs)
    torch.testing.assert_close(mpo.dense(cores, shape), torch.from_numpy(dense))


def test_tensorly_reads_the_same_matrix_from_the_cores():
    tensorly = pytest.importorskip("tensorly")
    cores, shape = random_operator((3, 2, 2), (2, 4, 2), 3)
    legs = [c.reshape(s).numpy() for c, s in zip(cores, shape.sites, strict=True)]
    theirs = [leg.transpose(2, 0, 3, 1) for leg in legs]  # (left, out, in, right)
    dense = tensorly.tt_matrix.tt_matrix_to_matrix(theirs)
    torch.testing.assert_close(mpo.dense(cores, shape), torch.from_numpy(dense))


@pytest.mark.parametrize(
    ("change", "setting", "value"),
    [
        ({"out_dims": (5, 3)}, "out_dims", "(5, 3) (15)"),
        ({"max_bond": 0}, "max_bond", "0"),
    ],
)
def test_a_decomposition_that_cannot_be_is_refused(change, setting, value):
    asked = {"out_dims": (4, 3), "in_dims": (4, 3), **change}
    with refused(setting, value):
        mpo.from_matrix(torch.eye(12), **asked)

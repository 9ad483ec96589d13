"""Spectra and sketches against hand arithmetic, full decompositions and scipy."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.linalg import svds

from qtha_lab.analysis.updates.sketch import Dense, leading_svd, randomised_svd
from qtha_lab.analysis.updates.spectrum import (
    Spectrum,
    factored_spectrum,
    spectrum_of,
    streamed_spectrum,
)


def low_rank(rows, cols, rank, seed=0, dtype=torch.float64):
    random = torch.Generator().manual_seed(seed)
    up = torch.randn(rows, rank, generator=random, dtype=dtype)
    return up @ torch.randn(rank, cols, generator=random, dtype=dtype)


def with_values(values, rows, cols, seed=0):
    """A matrix of given singular values and random vectors."""
    random = torch.Generator().manual_seed(seed)
    left, right = (
        torch.linalg.qr(torch.randn(size, len(values), generator=random, dtype=torch.float64)).Q
        for size in (rows, cols)
    )
    return left * torch.as_tensor(values, dtype=torch.float64) @ right.mT


# ranks


def test_the_four_ranks_of_known_singular_values():
    spectrum = spectrum_of(np.diag([4.0, 2.0, 2.0, 0.0]))
    # shares ½, ¼, ¼: entropy ½·ln 2 + 2·¼·ln 4 = 1.5 ln 2
    assert spectrum.effective_rank == pytest.approx(2**1.5)
    assert spectrum.stable_rank == pytest.approx((16 + 4 + 4) / 16)
    assert spectrum.numerical_rank() == 3
    # energy 16/24 = 0.67, 20/24 = 0.83, 1
    assert [spectrum.energy_rank(share) for share in (0.6, 0.7, 0.83, 0.9, 1.0)] == [1, 2, 2, 3, 3]


def test_equal_singular_values_give_their_number_in_every_rank():
    spectrum = spectrum_of(torch.eye(7) * 3)
    assert spectrum.effective_rank == pytest.approx(7)
    assert spectrum.stable_rank == pytest.approx(7)
    assert spectrum.numerical_rank() == spectrum.energy_rank(1.0) == 7


def test_a_zero_matrix_has_rank_zero_in_every_sense():
    spectrum = spectrum_of(torch.zeros(4, 3))
    numbers = spectrum.summary()
    assert numbers == dict.fromkeys(numbers, 0)


@given(rank=st.integers(1, 12), seed=st.integers(0, 99), dtype=st.sampled_from([32, 64]))
@settings(max_examples=25, deadline=None)
def test_a_random_rank_k_update_has_numerical_rank_k(rank, seed, dtype):
    matrix = low_rank(40, 25, rank, seed, getattr(torch, f"float{dtype}"))
    assert spectrum_of(matrix).numerical_rank() == rank
    assert randomised_svd(matrix, seed=seed).spectrum.numerical_rank() == rank


@given(
    values=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8),
    factor=st.floats(1e-3, 1e3),
)
@settings(max_examples=50, deadline=None)
def test_ranks_are_ordered_and_blind_to_scale(values, factor):
    values = np.sort(values)[::-1]
    result = Spectrum(values, (9, 9), float(np.linalg.norm(values)))
    assert 1 - 1e-9 <= result.stable_rank <= len(values) + 1e-9
    assert 1 - 1e-9 <= result.effective_rank <= len(values) + 1e-9
    other = result.scaled(-factor)
    assert other.effective_rank == pytest.approx(result.effective_rank)
    assert other.stable_rank == pytest.approx(result.stable_rank)
    assert other.numerical_rank() == result.numerical_rank()


def test_the_numerical_rank_falls_with_the_threshold():
    spectrum = spectrum_of(np.diag([1.0, 1e-2, 1e-4]))
    assert [spectrum.numerical_rank(t) for t in (0.5, 1e-3, 1e-5)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        (
            lambda: spectrum_of(torch.ones(3)),
            r"A matrix must have two sizes of at least 1, got shape \(3,\)\.",
        ),
        (lambda: spectrum_of(torch.full((2, 2), math.nan)), "finite"),
        (lambda: spectrum_of(torch.eye(2)).numerical_rank(2.0), "between 0 and 1, got 2.0"),
        (lambda: spectrum_of(torch.eye(2)).energy_rank(0.0), "above 0 and at most 1, got 0.0"),
        (lambda: randomised_svd(torch.eye(3), 0), "max_rank must be at least 1, got 0"),
        (lambda: factored_spectrum(torch.eye(3)), "at least 2 factors, got 1"),
        (lambda: streamed_spectrum([]), "has no blocks of rows"),
    ],
)
def test_what_cannot_be_decomposed_is_refused_in_a_sentence(what, sentence):
    with pytest.raises(ValueError, match=sentence):
        what()


# products and streams


@pytest.mark.parametrize("sizes", [(30, 4, 50), (30, 3, 3, 50), (5, 9, 7), (6, 2, 4, 3, 8)])
def test_a_product_of_factors_has_the_spectrum_of_the_product(sizes):
    torch.manual_seed(0)
    factors = [torch.randn(a, b, dtype=torch.float64) for a, b in itertools.pairwise(sizes)]
    whole = torch.linalg.multi_dot(factors)
    values = torch.linalg.svdvals(whole).numpy()
    result = factored_spectrum(*factors)
    assert result.shape == tuple(whole.shape)
    np.testing.assert_allclose(result.values, values[: len(result.values)], rtol=1e-10)
    assert np.all(values[len(result.values) :] < 1e-10 * values[0])


@pytest.mark.parametrize("cuts", [[1] * 20, [3, 17], [20], [19, 1]])
def test_rows_in_blocks_give_the_spectrum_of_all_rows(cuts):
    torch.manual_seed(0)
    rows = torch.randn(20, 7)
    result = streamed_spectrum(rows.split(cuts))
    np.testing.assert_allclose(result.values, spectrum_of(rows).values, rtol=1e-10)
    assert result.shape == (20, 7)


def test_streaming_keeps_small_values_that_a_gram_matrix_would_lose():
    # squares of 1e-10 drown beside 1 in float64, the values themselves do not
    rows = with_values([1.0, 1e-10], 50, 6)
    assert streamed_spectrum(rows.split(10)).values[1] == pytest.approx(1e-10, rel=1e-3)


# sketches


def test_a_sketch_finds_a_low_rank_matrix_whole_and_says_that_nothing_is_missing():
    matrix = low_rank(300, 200, 5)
    sketch = randomised_svd(matrix)
    np.testing.assert_allclose(sketch.spectrum.values[:5], spectrum_of(matrix).values[:5])
    assert sketch.spectrum.exact
    assert sketch.spectrum.norm == pytest.approx(float(matrix.norm()))
    torch.testing.assert_close(matrix @ sketch.right.mT @ sketch.right, matrix)


def test_a_sketch_of_falling_values_states_what_it_leaves_out():
    values = [0.8**k for k in range(60)]
    sketch = randomised_svd(with_values(values, 200, 150), max_rank=12)
    np.testing.assert_allclose(sketch.spectrum.values, values[:12], rtol=1e-3)
    beyond = math.sqrt(sum(v**2 for v in values[12:]))
    assert sketch.spectrum.missing == pytest.approx(beyond, rel=0.1)
    assert not sketch.spectrum.exact


def test_leading_values_agree_with_scipys_sparse_solver():
    torch.manual_seed(0)
    matrix = low_rank(120, 90, 90) + 50 * low_rank(120, 90, 3, seed=1)
    theirs = np.sort(svds(matrix.numpy(), k=3, return_singular_vectors=False))[::-1]
    np.testing.assert_allclose(randomised_svd(matrix, 3).spectrum.values, theirs, rtol=1e-6)


def test_more_values_are_looked_for_until_little_is_missing():
    sketch = randomised_svd(low_rank(300, 300, 70), max_rank=None)
    assert sketch.spectrum.numerical_rank() == 70
    full = torch.randn(40, 30, dtype=torch.float64)
    np.testing.assert_allclose(randomised_svd(full).spectrum.values, spectrum_of(full).values)


def test_an_operator_is_read_block_by_block_from_a_file(tmp_path):
    matrix = low_rank(90, 40, 3).float().numpy()
    np.save(tmp_path / "weight.npy", matrix)
    mapped = np.load(tmp_path / "weight.npy", mmap_mode="c")
    sketch = randomised_svd(Dense(mapped, block=16))
    np.testing.assert_allclose(
        sketch.spectrum.values[:3], spectrum_of(matrix).values[:3], rtol=1e-5
    )


def test_the_same_seed_gives_the_same_sketch_and_the_global_generator_is_left_alone():
    matrix = torch.randn(50, 40)
    state = torch.get_rng_state()
    first, second = randomised_svd(matrix, 4), randomised_svd(matrix, 4)
    assert np.array_equal(first.spectrum.values, second.spectrum.values)
    assert torch.equal(state, torch.get_rng_state())


def test_leading_vectors_of_a_large_matrix_are_those_of_the_full_decomposition():
    matrix = with_values([9.0, 5.0, 2.0, *[0.1] * 40], 1100, 1050)
    left, values, right = leading_svd(matrix, 3)
    np.testing.assert_allclose(values, [9, 5, 2], rtol=1e-6)
    torch.testing.assert_close(
        left * values @ right,
        with_values([9.0, 5.0, 2.0] + [0] * 40, 1100, 1050),
        atol=1e-4,
        rtol=0,
    )

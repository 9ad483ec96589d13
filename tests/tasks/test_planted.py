"""Planted updates: what each teacher needs, by linear algebra on its rows."""

import pytest
import torch
from support.refusals import refused

from qtha_lab.circuits import ansatze
from qtha_lab.simulators import expval_z
from qtha_lab.tasks.problems import planted
from qtha_lab.tasks.problems.planted import NOISE, TEACHERS, planted_rows, trigonometric_features


def fitted(kind):
    """The matrix of the best linear map of a teacher, and the mean square that it leaves."""
    (rows,) = planted_rows(kind, (4000,), seed=1)
    matrix = torch.linalg.lstsq(rows.inputs, rows.targets).solution
    return matrix, (rows.targets - rows.inputs @ matrix).square().mean().item()


@pytest.mark.parametrize("kind", TEACHERS)
def test_targets_have_unit_mean_square_and_follow_from_the_seed(kind):
    first, again, other = (planted_rows(kind, (1000,), seed)[0] for seed in (1, 1, 2))
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.targets, other.targets)
    assert first.targets.square().mean().item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kind", ["rank", "tensor_network"])
def test_a_linear_map_leaves_the_noise_of_a_planted_matrix_alone(kind):
    _, left = fitted(kind)
    assert left == pytest.approx(NOISE**2, rel=0.05)


@pytest.mark.parametrize("kind", ["circuit", "nonlinearity"])
def test_no_linear_map_fits_a_planted_circuit_or_non_linearity(kind):
    _, left = fitted(kind)
    assert left > 5 * NOISE**2


def test_the_planted_rank_has_sixteen_equal_singular_values_and_the_network_has_all():
    values = torch.linalg.svdvals(fitted("rank")[0])
    assert values[15] > 0.9 * values[0]
    assert values[16] < 0.02 * values[0]
    assert (torch.linalg.svdvals(fitted("tensor_network")[0]) > 1e-3).sum() == 64


def test_a_circuit_of_one_layer_is_a_trigonometric_polynomial_of_its_inputs():
    circuit = ansatze.build("qtha", 4, 1, True)
    random = torch.Generator().manual_seed(0)
    h = torch.randn(300, 4, generator=random, dtype=torch.float64)
    angles = torch.randn(circuit.n_params, generator=random, dtype=torch.float64)
    values, features = expval_z(circuit, h, angles), trigonometric_features(h)
    assert features.shape == (300, 81)
    fit = torch.linalg.lstsq(features, values).solution
    assert torch.allclose(features @ fit, values, atol=1e-9)


def test_unknown_teachers_and_empty_sets_are_refused_in_a_sentence():
    with refused("kind", "'magic'"):
        planted_rows("magic", (1,), seed=0)
    with refused("counts", "(5, 0)"):
        planted.planted_rows("rank", (5, 0), seed=0)

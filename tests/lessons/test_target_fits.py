"""Fits of random targets: read-outs with angles as inputs, targets of unit variance."""

import pytest
import torch

from qtha_lab.circuits import ansatze
from qtha_lab.lessons import target_fits
from qtha_lab.simulators import expval_z


def test_angles_as_inputs_give_the_read_outs_of_trained_angles():
    circuit = ansatze.build("qtha", n_qubits=3, n_layers=2)
    torch.manual_seed(0)
    x = torch.randn(4, 3, dtype=torch.float64)
    angles = torch.randn(circuit.n_params, dtype=torch.float64)
    both = torch.cat([x, angles.expand(4, -1)], -1)
    ours = expval_z(target_fits._with_angles_as_inputs(circuit), both, x.new_empty(0))
    assert torch.allclose(ours, expval_z(circuit, x, angles), atol=1e-12)


def test_targets_have_a_mean_square_of_one():
    x, y = target_fits.random_targets(n=400)
    assert x.abs().max() <= torch.pi
    assert y.square().mean().item() == pytest.approx(1, abs=0.05)


def test_a_fit_lowers_the_held_out_error_of_targets_within_its_frequencies():
    first, last = (target_fits.fit_targets("basic_entangler", steps=n) for n in (1, 60))
    assert last.errors.mean() < 0.5 * first.errors.mean()
    assert last.errors.shape == (target_fits.TARGETS,)

"""One token's path through QTHA: against the dense maps, and against the adapter itself."""

import math

import pytest
import torch
from support.refusals import refused

from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.qtha_config import QthaConfig
from qtha_lab.adapters.qtha_operators import cores_of
from qtha_lab.analysis.updates.token_path import STAGES, token_path
from qtha_lab.tensor_networks import mpo

X = torch.linspace(-1, 1, 24)
CONFIG = QthaConfig(r=3, waist=12, bond_dim=2, n_layers=1, input_scale=2.0)


@pytest.fixture
def trained():
    """Tensors of a layer none of which is zero."""
    random = torch.Generator().manual_seed(3)
    specs = CONFIG.change(Layer(24, 16)).tensors()
    return {name: torch.randn(spec.shape, generator=random) for name, spec in specs.items()}


def test_every_stage_follows_from_the_one_before_by_dense_matrices(trained):
    path = token_path(CONFIG, X, 16, trained)
    values = {name: torch.tensor(of, dtype=torch.float64) for name, of in path.values.items()}
    t = {name: tensor.double() for name, tensor in trained.items()}
    change = CONFIG.change(Layer(24, 16))
    down, up = (
        mpo.dense(cores_of(t, side), shape)
        for side, shape in (("in", change.maps.down), ("out", change.maps.up))
    )
    assert torch.allclose(values["u = M_A x"], down @ X.double())
    assert torch.allclose(values["h = A u"], t["A"] @ values["u = M_A x"])
    assert torch.allclose(values["W_c h"], t["W_c"] @ values["h = A u"])
    assert torch.allclose(values["W_q q"], t["W_q"] @ values["q = ⟨Z⟩"])
    assert torch.allclose(values["z"], values["W_q q"] + values["W_c h"])
    assert torch.allclose(values["Δy"], CONFIG.scale * up @ t["B"] @ values["z"])
    assert list(path.values) == list(STAGES)


def test_powers_angles_and_sizes_are_those_of_the_values(trained):
    path = token_path(CONFIG, X, 16, trained)
    angles = [2.0 * h for h in path.values["h = A u"]]
    assert path.beyond_pi == sum(abs(a) > math.pi for a in angles) / 3
    power = [sum(v**2 for v in path.values[name]) for name in ("W_q q", "W_c h")]
    assert path.branch_power == pytest.approx(power[0] / power[1])
    assert path.rms["x"] == pytest.approx(float(X.square().mean().sqrt()))
    assert path.chance_rms["x"] == pytest.approx(path.rms["x"])


@pytest.mark.parametrize("init", ["balanced", "paper", "isometric"])
def test_the_change_of_the_output_is_zero_before_training(init):
    config = QthaConfig(r=2, waist=8, bond_dim=2, n_layers=1, init=init)
    path = token_path(config, X, 24)
    assert path.rms["Δy"] == 0
    assert path.rms["h = A u"] > 0
    assert token_path(config, X, 24).values == path.values, "the seed decides"


def test_without_a_linear_branch_its_stage_is_left_out():
    config = QthaConfig(r=2, waist=8, bond_dim=2, n_layers=1, use_linear=False)
    path = token_path(config, X, 24)
    assert "W_c h" not in path.values
    assert path.branch_power is None
    with refused("A path", "others"):
        token_path(QthaConfig(r=2, waist=8, bond_dim=2, use_circuit=False), X, 24)

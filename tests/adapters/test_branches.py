"""Middles of QTHA's bottleneck.

Wide readouts past rank r, classical stand-ins, layer mixing.
"""

import math

import numpy as np
import pytest
import scipy.signal
import torch
from support.refusals import refused
from support.small_models import TARGETS, drawn, make

from qtha_lab.adapters import QthaConfig, add_adapter
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.qtha_branches import Cosines, HilbertPhase, SiluStack
from qtha_lab.circuits import ansatze
from qtha_lab.simulators import probs


def rank(matrix) -> int:
    values = torch.linalg.svdvals(matrix)
    return int((values > 1e-5 * values[0]).sum())


# wide readout


@pytest.mark.parametrize(("readout", "most"), [("z", 3), ("z+zz", 6), ("probs", 8)])
def test_a_wide_readout_leaves_r_dimensions_and_the_published_one_does_not(readout, most):
    # r = 3 qubits: 3 ⟨Z_i⟩; 3·4/2 = 6 with pairs; 2³ = 8 probabilities, whose sum is 1 but of which
    # 2^r p - 1 and the linear branch span all 8 columns of B
    config = QthaConfig(r=3, waist=24, bond_dim=6, readout=readout, init_weights=False)
    change, t = drawn(config, 48, 40)
    realised = change.delta(t, 3 * torch.randn(300, 48, dtype=torch.float64))
    assert rank(realised) == most
    through_x = torch.autograd.functional.jacobian(
        lambda x: change.delta(t, x), torch.randn(48, dtype=torch.float64)
    )
    assert rank(through_x) <= 3  # one token's Jacobian still passes r numbers


@pytest.mark.parametrize(("readout", "m"), [("z+zz", 4 * 5 // 2), ("probs", 2**4)])
def test_a_wide_readout_trains_what_its_formula_says(readout, m):
    narrow = QthaConfig(size="paper", r=4, n_layers=1).n_parameters(3584, 512)
    wide = QthaConfig(size="paper", r=4, n_layers=1, readout=readout).n_parameters(3584, 512)
    # B grows by waist·(m - r), W_c from r² to m·r, and W_q (r²) goes
    assert wide - narrow == 256 * (m - 4) + (m * 4 - 16) - 16


def test_probabilities_enter_centred():
    config = QthaConfig(r=2, waist=8, readout="probs", n_layers=1, use_linear=False)
    change, t = drawn(config, 48, 40)
    h = torch.randn(5, 2, dtype=torch.float64)
    p = probs(ansatze.build("qtha", 2, 1), h, t["params"], "device:default.qubit")
    torch.testing.assert_close(change.bottleneck.branch.apply(t, h), 4 * p - 1)


# stand-ins


@pytest.mark.parametrize(("letters", "layers"), [("BD", 2), ("BE", 3), ("BF", 4)])
def test_silu_stacks_are_the_authors_controls(letters, layers):
    n, m, r = 3584, 512, 4
    config = QthaConfig(r=r, use_mpo=False, stand_in="silu", stand_in_layers=layers)
    assert config.n_parameters(n, m) == r * (n + m) + r**2 + layers * r**2  # methods.md 1.5
    _, t = drawn(config, 48, 40)
    assert not t[f"S_{layers - 1}"].any()
    h, by_hand = torch.randn(6, r, dtype=torch.float64), torch.nn.Sequential()
    for k in range(layers):
        t[f"S_{k}"].normal_()
        linear = torch.nn.Linear(r, r, bias=False, dtype=torch.float64)
        linear.weight.data = t[f"S_{k}"]
        by_hand.extend([torch.nn.SiLU(), linear] if k else [linear])
    torch.testing.assert_close(SiluStack(config).apply(t, h), by_hand(h))


@pytest.mark.parametrize("n_layers", [1, 3])
def test_cosines_train_as_many_numbers_as_the_circuit_has_angles(n_layers):
    circuit = QthaConfig(size="paper", r=5, n_layers=n_layers)
    control = QthaConfig(size="paper", r=5, n_layers=n_layers, stand_in="cosine")
    assert control.n_parameters(64, 64) == circuit.n_parameters(64, 64)
    fourier = torch.zeros(5, 2 * n_layers, 2, dtype=torch.float64)
    # (6 cos 2h + 8 sin 2h) / 2 = 5 cos(2h - atan(4/3))
    fourier[:, 1] = torch.tensor([6.0, 8.0])
    h = torch.randn(7, 5, dtype=torch.float64)
    expected = 5 * torch.cos(2 * h - math.atan2(4, 3))
    torch.testing.assert_close(Cosines(control).apply({"fourier": fourier}, h), expected)


@pytest.mark.parametrize("r", [2, 5, 8])
def test_the_hilbert_phase_is_scipys(r):
    h = torch.randn(9, r, dtype=torch.float64)
    config = QthaConfig(size="paper", r=r, stand_in="hilbert")
    expected = np.cos(np.angle(scipy.signal.hilbert(h.numpy(), axis=-1)))
    result = HilbertPhase(config).apply({}, h)
    torch.testing.assert_close(result, torch.from_numpy(expected))
    assert torch.isfinite(HilbertPhase(config).apply({}, torch.zeros(2, r))).all()


def test_a_bias_adds_the_same_to_every_token_and_costs_r_numbers():
    config, plain = (
        QthaConfig(r=3, waist=8, bond_dim=2, **o)
        for o in ({"stand_in": "bias"}, {"use_circuit": False})
    )
    assert config.n_parameters(16, 12) == plain.n_parameters(16, 12) + 3
    change = config.change(Layer(16, 12))
    torch.manual_seed(0)
    tensors = change.start(torch.float64)
    tensors["B"].normal_()
    x = torch.randn(5, 16, dtype=torch.float64)
    linear = change.delta(tensors, x)
    of_plain = plain.change(Layer(16, 12)).delta(tensors, x)  # b = 0, and W_c is multiplied first
    torch.testing.assert_close(linear, of_plain, atol=1e-12, rtol=1e-12)
    tensors["b"].normal_()
    shift = change.delta(tensors, x) - linear
    assert torch.allclose(shift, shift[:1].expand_as(shift))
    assert shift.abs().max() > 0.1
    assert not config.change_class.is_linear(config)  # a constant is no matrix
    assert not change.circuits()


def test_a_bias_that_multiplies_starts_at_one():
    change = QthaConfig(r=2, waist=8, stand_in="bias", fusion="hadamard").change(Layer(16, 12))
    assert torch.equal(change.start()["b"], torch.ones(2))


def test_a_stand_in_runs_no_circuit_and_excludes_a_readout():
    config = QthaConfig(size="paper", r=1, stand_in="silu")  # no ring, so one dimension is enough
    assert config.circuits() == []
    with refused("readout", "'probs'"):
        QthaConfig(stand_in="silu", readout="probs")


# layer mixing


@pytest.mark.parametrize(("end", "plain"), [("first", [True, False]), ("last", [False, True])])
def test_mixed_blocks_are_peft_lora_and_the_others_are_qtha(end, plain):
    config = QthaConfig(
        r=2, waist=8, classical_layers=1, classical_end=end, target_modules=TARGETS["llama"]
    )
    model = add_adapter(make("llama"), config)
    names = [n for n, _ in model.named_parameters() if "q_proj.qtha_" in n]
    for block in (0, 1):
        own = {n.split("qtha_")[1].split(".")[0] for n in names if f".{block}." in n}
        assert (own == {"A", "B"}) is plain[block]
    change, t = drawn_at(config, block=plain.index(True))
    x = torch.randn(3, 24, dtype=torch.float64)
    t["B"].normal_()
    torch.testing.assert_close(change.delta(t, x), 2 * x @ t["A"].T @ t["B"].T)


def drawn_at(config, block):
    change = config.change(Layer(24, 16, f"h.{block}.q", block, 2))
    t = {n: torch.randn(s.shape, dtype=torch.float64) for n, s in change.tensors().items()}
    return change, t


def test_mixing_must_leave_a_block():
    config = QthaConfig(r=2, waist=8, classical_layers=2, target_modules=TARGETS["llama"])
    with refused("classical_layers", "2"):
        add_adapter(make("llama"), config)
    with refused("classical_layers", "1"):
        QthaConfig.for_budget(make("llama"), trainable_parameters=9_000, classical_layers=1)

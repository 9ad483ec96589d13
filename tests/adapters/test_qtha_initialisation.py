"""QTHA started at the gradient's directions.

What it reads, and what stays as at a balanced start.
"""

import pytest
import torch
from support.refusals import refused
from support.small_models import TARGETS, TOKENS, make

from qtha_lab.adapters import QthaConfig, add_adapter, initialisation_rows, initialise_from_rows
from qtha_lab.adapters.initialisation.from_data import leading_directions
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.tensor_networks import mpo

BATCHES = [{"input_ids": TOKENS, "labels": TOKENS}]
SMALL = {"r": 3, "waist": 16, "bond_dim": 4, "n_sites": 2, "use_circuit": False}


def started(**options):
    torch.manual_seed(0)
    config = QthaConfig(target_modules=TARGETS["llama"], **SMALL | options)
    model = add_adapter(make("llama"), config)
    initialise_from_rows(model, BATCHES)
    return model


def layers(model):
    return [m for m in model.modules() if isinstance(m, AdapterLayer)]


def reading(layer):
    """A · M_A of a layer."""
    change, tensors = layer.changes["default"], layer.adapter_tensors("default")
    return change.ends(tensors)[0].detach()


def share(layer, k):
    """Return the share of the gradient's r leading directions that A · M_A covers.

    1 is all of it.
    """
    base = make("llama")
    weights = [p for n, p in base.named_parameters() if n.split(".")[-2] in TARGETS["llama"]]
    gradient = torch.autograd.grad(base(**BATCHES[0]).loss, weights)[k]
    directions = torch.linalg.svd(gradient).Vh[:3]
    q = torch.linalg.qr(reading(layer).mT).Q
    return float((directions @ q).square().sum() / 3)


def test_the_input_side_follows_the_gradient_within_its_bonds():
    shares = {}
    for bond in (2, 4, 16):
        model = started(init="gradient", bond_dim=bond)
        shares[bond] = [share(layer, k) for k, layer in enumerate(layers(model))]
    random = [share(layer, k) for k, layer in enumerate(layers(started()))]
    assert all(x == pytest.approx(1, abs=1e-4) for x in shares[16])  # a whole operator
    assert sum(random) < sum(shares[2]) < sum(shares[4]) < sum(shares[16])


def test_without_operators_a_is_the_directions():
    for k, layer in enumerate(layers(started(init="gradient", use_mpo=False))):
        assert share(layer, k) == pytest.approx(1, abs=1e-4)


def test_the_logits_before_training_are_those_of_the_base():
    assert torch.equal(started(init="gradient")(TOKENS).logits, make("llama")(TOKENS).logits)


def test_the_operator_keeps_the_norm_of_a_balanced_start():
    model, balanced = started(init="gradient"), started()
    for one, other in zip(layers(model), layers(balanced), strict=True):
        norms = [
            mpo.norm(*layer.changes["default"].operators(layer.adapter_tensors("default"))["M_A"])
            for layer in (one, other)
        ]
        assert torch.allclose(*norms, rtol=1e-4)
        for name in ("W_c", "mpo_out_0", "mpo_out_1"):
            tensors = [layer.adapter_tensors("default")[name] for layer in (one, other)]
            assert torch.equal(*tensors)


def test_bonds_wider_than_the_cut_can_fill_still_train():
    model = started(init="gradient", bond_dim=24)  # 2 sites of 4 · 4 and 8 · 4: at most 16 of 24
    for layer in layers(model):
        torch.nn.init.normal_(layer.adapter_tensors("default")["B"])
    model(**BATCHES[0]).loss.backward()
    for layer in layers(model):
        gradient = layer.adapter_tensors("default")["mpo_in_0"].grad
        assert gradient is not None
        assert (gradient.reshape(-1, 24, *gradient.shape[1:]).abs().amax((0, 2)) > 0).all()


def test_rows_are_read_by_this_start_alone():
    assert initialisation_rows(QthaConfig(**SMALL)) == 0
    assert initialisation_rows(QthaConfig(**SMALL, init="gradient", start_rows=5)) == 5
    with refused("start_rows", "0"):
        QthaConfig(**SMALL, init="gradient", start_rows=0)
    with refused("use_circuit or use_linear", "neither"):
        QthaConfig(**SMALL, init="gradient", use_linear=False)


def test_the_bottleneck_has_a_root_mean_square_of_1_on_the_rows():
    model = started(init="gradient")
    heard = []
    for layer in layers(model):
        layer.register_forward_hook(lambda m, a, o: heard.append((m, a[0])))
    with torch.no_grad():
        model(TOKENS)
    for layer, x in heard:
        h = x.flatten(0, 1) @ reading(layer).mT
        assert float(h.square().mean().sqrt()) == pytest.approx(1, rel=1e-3)


def test_leading_directions_are_those_of_all_layers_that_share_them():
    from qtha_lab.adapters.initialisation.from_data import LayerSample

    gradient, inputs = torch.randn(5, 7), torch.randn(9, 7)
    sample = LayerSample(gradient, inputs)
    once, twice = leading_directions([sample], 2), leading_directions([sample, sample], 2)
    assert torch.allclose(once.abs(), twice.abs(), atol=1e-5)

"""A token's change of a layer by tensors that stay: the same as in every pass, and never stale."""

import copy

import pytest
import torch
from support.small_models import adapted, our_layers

from qtha_lab.adapters import hold_products
from qtha_lab.adapters.peft import generation
from qtha_lab.circuits import Readout, z_pairs
from qtha_lab.circuits.ansatze import build, names
from qtha_lab.core.errors import Refusal
from qtha_lab.simulators import expval, expval_z
from qtha_lab.simulators.circuit_between_matrices import fuse_matrices
from qtha_lab.simulators.cpu.single_token import single_tables

EXAMPLES = ("ABC", "ABC-product", "ABC-pairs", "ABC-probs", "AB", "ABF", "BC", "C", "bias")


def token(layer, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 1, layer.in_features, generator=generator)


def passes(model, x, count=3):
    """Return the first adapted layer's outputs for a token, pass after pass in one scope."""
    layer = our_layers(model)[0]
    with torch.no_grad(), hold_products(model):
        return [layer(x) for _ in range(count)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_token_is_changed_as_in_every_pass(example, monkeypatch):
    model = adapted("qtha", example, "llama").eval()
    x = token(our_layers(model)[0])
    added = []
    plain = generation._State.added
    monkeypatch.setattr(generation._State, "added", lambda *a: added.append(plain(*a)) or added[-1])
    first, second, third = passes(model, x)
    assert second is added[0]  # the first pass went the way of all
    assert third is added[1]
    torch.testing.assert_close(second, first, atol=2e-6, rtol=2e-5)
    assert torch.equal(third, second)


def test_a_factor_counts():
    model = adapted("qtha", "ABC", "llama").eval()
    layer = our_layers(model)[0]
    layer.set_scale("default", 0.5)
    first, second, _ = passes(model, token(layer))
    torch.testing.assert_close(second, first, atol=2e-6, rtol=2e-5)


def scaled(layer):
    layer.set_scale("default", 3.0)


def angles_moved(layer):
    layer.qtha_params["default"].data.add_(0.3)
    layer.qtha_params["default"].data = layer.qtha_params["default"].data.clone()


def mixed_otherwise(layer):
    with torch.no_grad():
        layer.qtha_W_q["default"].mul_(2.0)


def core_changed(layer):
    with torch.no_grad():
        layer.qtha_mpo_in_1["default"].mul_(2.0)


def switched_off(layer):
    layer.enable_adapters(False)


@pytest.mark.parametrize(
    "change", [scaled, angles_moved, mixed_otherwise, core_changed, switched_off],
    ids=lambda change: change.__name__,
)  # fmt: skip
def test_what_changes_between_tokens_is_seen(change):
    model = adapted("qtha", "ABC", "llama").eval()
    layer = our_layers(model)[0]
    x = token(layer)
    with torch.no_grad(), hold_products(model):
        before = [layer(x) for _ in range(2)][1]
        change(layer)
        after = layer(x)
    assert not torch.allclose(after, before, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(after, copy.deepcopy(layer)(x), atol=2e-6, rtol=2e-5)


def test_prompts_training_and_many_answers_keep_their_bits():
    model = adapted("qtha", "ABC", "llama").eval()
    layer = our_layers(model)[0]
    for shape in ((1, 5), (generation.MOST_ROWS + 1, 1)):
        first, *later = passes(model, torch.randn(*shape, layer.in_features))
        assert all(torch.equal(one, first) for one in later)


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("n_qubits", [1, 3, 4, 6])
def test_a_circuit_between_matrices_gives_what_expval_gives(name, n_qubits):
    try:
        circuit = build(name, n_qubits, 2)
    except Refusal:
        pytest.skip("this ansatz needs more qubits")
    generator = torch.Generator().manual_seed(1)
    params = 3 * torch.randn(circuit.n_params, generator=generator)
    first = torch.randn(7, circuit.n_inputs, generator=generator)
    for rows in (n_qubits, n_qubits + circuit.n_inputs):
        last = torch.randn(rows, 5, generator=generator)
        added = fuse_matrices(first, circuit, "z", params, last, 0.7)
        for tokens in (1, 4, 5):
            x, before = (torch.randn(tokens, k, generator=generator) for k in (7, 5))
            kept = before.clone()
            h = x.double() @ first.double()
            q = expval_z(circuit, 0.7 * h, params.double(), "torch")
            expected = before.double() + torch.cat((q, h), -1)[:, :rows] @ last.double()
            torch.testing.assert_close(added(x, before).double(), expected, atol=2e-5, rtol=0)
            assert torch.equal(before, kept)


def test_pairs_are_read_between_matrices_too():
    circuit = build("qtha", 5, 2)
    params, first, last = torch.randn(circuit.n_params), torch.randn(7, 5), torch.randn(15, 3)
    x, before = torch.randn(1, 7), torch.randn(1, 3)
    expected = before + expval(circuit, z_pairs(5), x @ first, params) @ last
    added = fuse_matrices(first, circuit, z_pairs(5), params, last)
    torch.testing.assert_close(added(x, before), expected, atol=2e-5, rtol=0)


def test_one_token_uses_the_merged_products_where_possible():
    assert single_tables(build("qtha", 8, 8), Readout.z(8)) is not None
    assert single_tables(build("qtha", 3, 1), Readout.z(3)) is None  # shorter than a vector
    assert single_tables(build("qtha", 8, 1), Readout.probs()) is None


def test_tensors_of_inference_mode_are_computed_as_in_every_pass():
    with torch.inference_mode():
        model = copy.deepcopy(adapted("qtha", "ABC", "llama").eval())
    first, *others = passes(model, token(our_layers(model)[0]))
    assert all(torch.equal(other, first) for other in others)

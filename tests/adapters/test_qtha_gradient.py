"""QTHA whose input side starts at the gradient's directions: what it reads, keeps and shares."""

import pytest
import torch
from peft import LoraConfig
from support.refusals import refused
from support.small_models import TARGETS, TOKENS, make

from qtha_lab.adapters import add_adapter, count_trainable, get_method, initialise_from_rows
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.initialisation.from_data import LayerSample
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.qtha_gradient import QthaGradientConfig, leading_directions

BATCHES = [{"input_ids": TOKENS[k : k + 1], "labels": TOKENS[k : k + 1]} for k in (0, 1)]


def started(**options):
    torch.manual_seed(0)
    config = QthaGradientConfig(target_modules=TARGETS["llama"], **options)
    model = add_adapter(make("llama"), config)
    state = torch.get_rng_state()
    initialise_from_rows(model, BATCHES)
    assert torch.equal(torch.get_rng_state(), state)  # nothing after it is drawn otherwise
    return model


def layers(model):
    return [m for m in model.modules() if isinstance(m, AdapterLayer)]


def gradients():
    """The gradient of the same loss in the base weights, by autograd itself."""
    base = make("llama")
    weights = {n: p for n, p in base.named_parameters() if n.split(".")[-2] in TARGETS["llama"]}
    loss = sum(base(**batch).loss for batch in BATCHES)
    return dict(zip(weights, torch.autograd.grad(loss, list(weights.values())), strict=True))


def test_the_input_side_spans_the_leading_right_singular_vectors_of_the_gradient():
    model = started(r=3)
    for layer in layers(model):
        name = layer.changes["default"].layer.name
        (gradient,) = (
            g for n, g in gradients().items() if name.endswith(n.removesuffix(".weight"))
        )
        vectors = torch.linalg.svd(gradient).Vh[:3]
        rows = layer.adapter_tensors("default")["A"]
        assert torch.linalg.matrix_rank(torch.cat([vectors, rows]), rtol=1e-3) == 3
        assert torch.allclose(rows @ rows.mT, rows[0].square().sum() * torch.eye(3), atol=1e-4)


def test_the_bottleneck_has_a_root_mean_square_of_1_on_the_rows():
    gradient, inputs = torch.randn(5, 7), 3 * torch.randn(40, 7)
    h = inputs.double() @ leading_directions([LayerSample(gradient, inputs)], 2).mT
    assert h.square().mean().sqrt() == pytest.approx(1)


def test_the_logits_before_training_are_those_of_the_base():
    assert torch.equal(started(r=2)(TOKENS).logits, make("llama")(TOKENS).logits)


def test_a_frozen_input_side_is_saved_and_not_trained(tmp_path):
    model = started(r=2)
    trained = [name for name, p in model.named_parameters() if p.requires_grad]
    assert trained
    assert not any("_A" in name for name in trained)
    assert all(p.grad is None for p in model.parameters())
    model.save_pretrained(tmp_path)
    from peft import PeftModel

    loaded = PeftModel.from_pretrained(make("llama"), tmp_path)
    for one, other in zip(layers(model), layers(loaded), strict=True):
        assert torch.equal(
            one.adapter_tensors("default")["A"], other.adapter_tensors("default")["A"]
        )


def test_a_whole_tensor_train_is_the_matrix_and_a_cut_one_near_it():
    whole, full, cut = (layers(started(r=2, bond_dim=bond, n_sites=2))[0] for bond in (None, 64, 2))
    rows = whole.adapter_tensors("default")["A"]
    changes = [layer.changes["default"] for layer in (full, cut)]
    reads = [
        change._reading(layer.adapter_tensors("default"))
        for change, layer in zip(changes, (full, cut), strict=True)
    ]
    assert torch.allclose(reads[0], rows, atol=1e-5)
    assert 0 < (reads[1] - rows).norm() < rows.norm()


def test_layers_of_a_size_share_what_is_shared():
    shared, both = started(r=2, share="input"), started(r=2, share="both")
    apart = started(r=2)
    # two llama layers, q: 32 → 32 and v: 32 → 16; A is 2 · 32 frozen, B 2 · out
    assert count_trained(apart) - count_trained(both) == 2 * (32 + 16)
    assert count_trained(apart) == count_trained(shared)
    rows = {id(layer.adapter_tensors("default")["A_32"]) for layer in layers(shared)}
    assert len(rows) == 1
    gradient = torch.cat(list(gradients().values()))
    vectors = torch.linalg.svd(gradient).Vh[:2]
    start = layers(shared)[0].adapter_tensors("default")["A_32"]
    assert torch.linalg.matrix_rank(torch.cat([vectors, start]), rtol=1e-3) == 2


def count_trained(model):
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def test_without_a_middle_it_has_the_size_of_lora_and_merges():
    options = {"r": 2, "middle": "none", "train_input": True}
    config = get_method("qtha_gradient").make_config(target_modules=TARGETS["llama"], **options)
    lora = LoraConfig(r=2, target_modules=TARGETS["llama"])
    assert count_trainable(make("llama"), config) == count_trainable(make("llama"), lora)
    model = started(**options)
    for layer in layers(model):
        torch.nn.init.normal_(layer.adapter_tensors("default")["B"])
    before = model(TOKENS).logits
    assert torch.allclose(model.merge_and_unload()(TOKENS).logits, before, atol=1e-5)


def test_on_tiny_a_circuit_of_four_qubits_trains_a_fifth_of_lora_r_8():
    config = QthaGradientConfig(r=4)
    # q: 192 → 192 and v: 192 → 64 in 6 blocks; 4 (192 + 64) + 2 (2 · 16 + 16), against 8 (384 +
    # 256)
    assert 6 * (config.n_parameters(192, 192) + config.n_parameters(192, 64)) == 6720
    assert 6720 / (6 * 8 * (384 + 256)) == 0.21875


def test_rows_without_a_gradient_are_refused():
    model = add_adapter(make("llama"), QthaGradientConfig(r=2, target_modules=["q_proj"]))
    with refused("The training rows of start_rows", "another"):
        initialise_from_rows(model, [])


def test_layers_that_read_no_rows_stay_as_they_are():
    torch.manual_seed(0)
    model = add_adapter(
        make("llama"), QthaGradientConfig(r=2, start_rows=0, target_modules=["q_proj"])
    )
    before = [layer.adapter_tensors("default")["A"].clone() for layer in layers(model)]
    initialise_from_rows(model, BATCHES)
    for layer, rows in zip(layers(model), before, strict=True):
        assert torch.equal(layer.adapter_tensors("default")["A"], rows)


def test_a_layer_is_never_without_its_sizes():
    change = QthaGradientConfig(r=2).change(Layer(8, 6))
    assert {name: spec.shape for name, spec in change.tensors().items()} == {
        "A": (2, 8), "B": (6, 2), "W_c": (2, 2), "W_q": (2, 2), "params": (8,),
    }  # fmt: skip

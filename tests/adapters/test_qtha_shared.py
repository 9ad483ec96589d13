"""QTHA with one input matrix per block: what is shared, counted, sampled and refused."""

import pytest
import torch
from support.refusals import refused
from support.small_models import TOKENS, make

from qtha_lab.adapters import add_adapter, initialise_from_rows
from qtha_lab.adapters.change import Layer
from qtha_lab.adapters.peft import AdapterLayer
from qtha_lab.adapters.qtha_shared import QthaSharedConfig, input_group

MODULES = ["q_proj", "k_proj", "v_proj", "down_proj"]
BATCHES = [{"input_ids": TOKENS[k : k + 1], "labels": TOKENS[k : k + 1]} for k in (0, 1)]


def adapted(**options):
    torch.manual_seed(0)
    return add_adapter(make("llama"), QthaSharedConfig(target_modules=MODULES, **options))


def layers(model):
    found = [m for m in model.modules() if isinstance(m, AdapterLayer)]
    return {layer.changes["default"].layer.name: layer for layer in found}


def inputs_of(layer):
    tensors = layer.adapter_tensors("default")
    return next(tensor for name, tensor in tensors.items() if name.startswith("A"))


def block(model, number):
    return {
        name.rpartition(".")[2]: layer
        for name, layer in layers(model).items()
        if f"layers.{number}." in name
    }


def test_maps_of_one_input_train_one_matrix_and_others_their_own():
    model = adapted()
    first, second = block(model, 0), block(model, 1)
    assert inputs_of(first["q_proj"]) is inputs_of(first["k_proj"])
    assert inputs_of(first["q_proj"]) is inputs_of(first["v_proj"])
    assert inputs_of(first["q_proj"]) is not inputs_of(second["q_proj"])
    assert inputs_of(first["down_proj"]) is not inputs_of(second["down_proj"])


@pytest.mark.parametrize("options", [{"r": 1}, {"r": 2, "circuit": True}, {"share": False}])
def test_the_count_is_that_of_the_formula(options):
    model, config = adapted(**options), QthaSharedConfig(**options)
    r, blocks = config.r, 2
    sizes = {name: of.changes["default"].layer for name, of in block(model, 0).items()}
    out = sum(size.out_features for size in sizes.values())
    reads = sizes["q_proj"].in_features * (1 if config.share else 3)
    inside = r**2 + 4 * r if config.circuit else 0
    expected = blocks * (r * (out + reads + sizes["down_proj"].in_features) + inside)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == expected


def test_the_shared_matrix_spans_the_directions_of_all_maps_that_read_it():
    model = adapted(r=2)
    initialise_from_rows(model, BATCHES)
    base = make("llama")
    names = [n for n, _ in base.named_parameters() if n.split(".")[-2] in MODULES[:3]]
    weights = {n: p for n, p in base.named_parameters() if n in names and ".layers.0." in n}
    loss = sum(base(**batch).loss for batch in BATCHES)
    stacked = torch.cat(torch.autograd.grad(loss, list(weights.values())))
    vectors = torch.linalg.svd(stacked).Vh[:2]
    rows = inputs_of(block(model, 0)["q_proj"])
    assert torch.linalg.matrix_rank(torch.cat([vectors, rows]), rtol=1e-3) == 2


def test_the_logits_before_training_are_those_of_the_base():
    model = adapted(r=2, circuit=True)
    initialise_from_rows(model, BATCHES)
    assert torch.equal(model(TOKENS).logits, make("llama")(TOKENS).logits)


def test_a_block_has_one_circuit_which_its_three_maps_read():
    model = adapted(r=2, circuit=True, init_weights=False)
    first = block(model, 0)
    angles = [
        tensor
        for name in ("q_proj", "k_proj", "v_proj")
        for key, tensor in first[name].adapter_tensors("default").items()
        if key.startswith("params")
    ]
    assert len(angles) == 3
    assert all(tensor is angles[0] for tensor in angles)
    assert not first["down_proj"].changes["default"].circuits()
    model(TOKENS).logits.square().mean().backward()
    assert angles[0].grad.abs().sum() > 0


def test_cross_attention_and_unknown_names_share_nothing():
    assert input_group(Layer(8, 8, name="decoder.layers.0.encoder_attn.k_proj")) == ""
    assert input_group(Layer(8, 8, name="encoder.layers.0.fc1")) == ""
    assert input_group(Layer(8, 8, name="layers.0.mlp.up_proj")) == "feed_forward"


def test_a_circuit_without_its_block_or_second_qubit_is_refused():
    with refused("share", "off"):
        QthaSharedConfig(r=2, circuit=True, share=False)
    with refused("r", "1"):
        QthaSharedConfig(r=1, circuit=True)

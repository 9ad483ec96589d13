"""LoRA-XS: frozen factors are those of the weight, and counts are the paper's."""

import pytest
import torch
from support.refusals import refused
from support.small_models import make

from qtha_lab.adapters import add_adapter
from qtha_lab.adapters.lora_xs import LoraXsConfig
from qtha_lab.adapters.peft import AdapterLayer


def adapted(**options):
    torch.manual_seed(0)
    model = add_adapter(make("llama"), LoraXsConfig(target_modules=["q_proj", "v_proj"], **options))
    return model, [module for module in model.modules() if isinstance(module, AdapterLayer)]


def test_the_count_is_that_of_the_paper():
    # 224 maps of LLaMA3-8B with r = 128 train 3.67 million numbers, of LoRA 57 million
    assert 7 * 32 * LoraXsConfig(r=128).n_parameters(4096, 4096) == 3_670_016


def test_the_frozen_factors_are_the_best_approximation_of_the_weight():
    _, layers = adapted(r=3, alpha=3)
    for layer in layers:
        weight = layer.get_base_layer().weight.detach()
        tensors = layer.adapter_tensors("default")
        gap = torch.linalg.matrix_norm(weight - tensors["B"] @ tensors["A"])
        left_over = torch.linalg.svdvals(weight)[3:].square().sum().sqrt()  # Eckart and Young
        assert gap.item() == pytest.approx(left_over.item(), rel=1e-5)
        gram = tensors["B"].mT @ tensors["B"]
        torch.testing.assert_close(gram, torch.eye(3), atol=1e-5, rtol=0)
        assert not tensors["R"].any()


def test_a_change_of_the_identity_adds_the_approximation_itself():
    _, layers = adapted(r=2, alpha=4)  # scaled by 2
    tensors = layers[0].adapter_tensors("default")
    with torch.no_grad():
        tensors["R"].copy_(torch.eye(2))
    torch.testing.assert_close(
        layers[0].delta_weight("default"), 2 * tensors["B"] @ tensors["A"], atol=1e-6, rtol=1e-5
    )


def test_more_vectors_than_the_layer_has_are_refused():
    with refused("lora_xs: r", "10000"):
        adapted(r=10_000)

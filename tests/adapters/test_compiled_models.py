"""An adapted model under torch.compile and torch.export: whole in one graph, with the numbers of
eager mode.

Backend `aot_eager` makes every graph that a compiler would get, and needs no compiler of C++.
"""

import copy
import shutil

import pytest
import torch
from peft import LoraConfig, get_peft_model

from qtha_lab import QuantumLayer
from qtha_lab.adapters import QthaConfig
from qtha_lab.models import load_model

TARGETS = ["q_proj", "v_proj"]
CONFIGS = {
    "lora": LoraConfig(r=4, target_modules=TARGETS),
    "qtha": QthaConfig(r=4, waist=16, bond_dim=2, n_layers=1, target_modules=TARGETS),
}
IDS = torch.tensor([[11, 42, 7, 99, 23, 5], [8, 15, 16, 23, 42, 4]])


@pytest.fixture(params=list(CONFIGS))
def model(request):
    """Two blocks of tiny, adapted, the adapter away from its start."""
    base = load_model("tiny").model
    base.model.layers = base.model.layers[:2]
    base.config.num_hidden_layers = 2
    torch.manual_seed(0)
    adapted = get_peft_model(base, copy.deepcopy(CONFIGS[request.param])).eval()
    with torch.no_grad():
        for tensor in trained(adapted):
            tensor += 0.1 * torch.randn_like(tensor)
    return adapted


def trained(model):
    return [tensor for tensor in model.parameters() if tensor.requires_grad]


def loss_and_gradients(run, model):
    loss = run(input_ids=IDS, labels=IDS, use_cache=False).loss
    return [loss.detach(), *torch.autograd.grad(loss, trained(model))]


@pytest.mark.slow
def test_one_graph_holds_the_whole_model_and_equals_eager_mode(model):
    eager = loss_and_gradients(model, model)
    compiled = loss_and_gradients(torch.compile(model, fullgraph=True, backend="aot_eager"), model)
    assert all(gradient.abs().max() > 0 for gradient in eager)
    for a, b in zip(compiled, eager, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_an_exported_model_is_saved_and_equals_eager_mode(model, tmp_path):
    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids):
            return self.model(input_ids=ids, use_cache=False).logits

    with torch.no_grad():
        program = torch.export.export(Logits(), (IDS,))
    torch.export.save(program, tmp_path / "model.pt2")
    loaded = torch.export.load(tmp_path / "model.pt2").module()
    torch.testing.assert_close(loaded(IDS), Logits()(IDS), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.*` is deprecated:DeprecationWarning")  # torch's own
@pytest.mark.skipif(not shutil.which("g++"), reason="inductor compiles for the CPU by g++")
def test_inductor_compiles_a_layer_in_a_network():
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(8, 3), QuantumLayer("qtha", 3, 1), torch.nn.Linear(3, 2)
    )
    inputs = torch.randn(5, 8)
    results = []
    for run in (network, torch.compile(network, fullgraph=True)):
        values = run(inputs)
        results.append([values, *torch.autograd.grad(values.square().sum(), network.parameters())])
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)

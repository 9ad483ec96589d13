"""Weights of whole networks from one circuit.

Their count, their start, and that nothing else is trained.
"""

import copy

import pytest
import torch
from support.refusals import refused
from torch import nn
from torch.func import functional_call

from qtha_lab.adapters import WeightGenerator, generate_into
from qtha_lab.adapters.quantum_train import QuantumTrainConfig


def make_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 10)
    )


IMAGES = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


# counts


def test_the_count_is_the_circuits_and_the_mappings_whatever_the_network_holds():
    # 8·9 + 8, 8 + 8, 288·10 + 10: 2,986 weights, 32 a state: 94 states, 7 qubits; network
    # 8-4-20-4-32
    net = generate_into(make_net(), chunk=32, n_layers=3)
    assert net.n_weights == 80 + 16 + 2890
    by_hand = 7 * 3 + (8 + 1) * 4 + (4 + 1) * 20 + (20 + 1) * 4 + (4 + 1) * 32
    assert net.n_parameters() == trained(net) == by_hand == 401
    assert [circuit.n_params for circuit in net.circuits()] == [21]


def test_the_published_headline_19_qubits_become_8():
    # 2^18 < m ≤ 2^19 weights one by one; with 1,025 or more a state 2^9 / 2 states are enough
    m = 285_226
    assert WeightGenerator(m, QuantumTrainConfig(), 1).n_qubits == 19
    assert WeightGenerator(m, QuantumTrainConfig(), 2048).n_qubits == 8


@pytest.mark.parametrize("options", [{}, {"mapping": "mps"}, {"generator": "classical"}], ids=str)
def test_a_generator_per_tensor_counts_each(options):
    net = generate_into(make_net(), "tensor", chunk=32, n_layers=3, **options)
    assert net.n_parameters() == trained(net)
    assert len(net.sources) == 6


def test_a_frozen_circuit_trains_its_mapping_alone():
    whole = generate_into(make_net(), chunk=32, n_layers=3)
    frozen = generate_into(make_net(), chunk=32, n_layers=3, train_generator=False)
    assert trained(whole) - trained(frozen) == 21


# start


@pytest.mark.parametrize("share", ["net", "tensor"])
def test_a_network_starts_at_one_over_the_root_of_its_fan_in(share):
    weights = generate_into(make_net(), share, chunk=32).weights()
    expected = {"0.weight": 1 / 3, "0.bias": 1 / 3, "4.weight": 288**-0.5, "4.bias": 288**-0.5}
    for name, size in expected.items():
        assert weights[name].square().mean().sqrt().item() == pytest.approx(size, rel=1e-5)


def test_a_normalisation_starts_where_the_module_has_it_and_takes_a_change():
    module = make_net()
    module.get_parameter("1.weight").data.fill_(3.0)
    change = generate_into(module, chunk=32).weights()["1.weight"] - 3.0
    assert change.square().mean().sqrt().item() == pytest.approx(8**-0.5, rel=1e-5)


def test_a_single_weight_is_generated_though_it_is_its_own_mean():
    module = nn.Linear(4, 1)
    assert generate_into(module, "tensor", chunk=4).weights()["bias"].abs().item() > 0


# use


def test_the_answer_is_the_networks_own_with_the_weights_that_are_generated():
    net, plain = generate_into(make_net(), chunk=32), make_net()
    with torch.no_grad():
        for name, tensor in net.weights().items():
            plain.get_parameter(name).copy_(tensor)
    torch.testing.assert_close(net.train()(IMAGES), plain.train()(IMAGES))
    torch.testing.assert_close(net.eval()(IMAGES), plain.eval()(IMAGES))  # statistics moved alike


def test_gradients_reach_every_number_of_the_generator_and_a_step_lowers_the_loss():
    net = generate_into(make_net(), chunk=32)
    optimizer, labels = torch.optim.Adam(net.parameters(), lr=1e-2), torch.arange(4)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(net(IMAGES), labels)
        loss.backward()
        assert all(p.grad is not None and p.grad.any() for p in net.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2


def test_layers_that_share_a_weight_share_what_is_generated():
    module = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))
    module[1].weight = module[0].weight
    net = generate_into(module, chunk=8)
    assert net.n_weights == 36 + 6 + 6
    weights = net.weights()
    assert weights["0.weight"] is weights["1.weight"]
    assert net(torch.ones(2, 6)).shape == (2, 6)


def test_what_is_saved_is_the_generator_and_gives_the_same_bits():
    net = generate_into(make_net(), chunk=32)
    state = copy.deepcopy(net.state_dict())
    assert not any(name.startswith("module.0") for name in state)
    module = make_net()
    torch.manual_seed(7)
    other = generate_into(module, chunk=32)
    assert not torch.equal(other.eval()(IMAGES), net.eval()(IMAGES))
    other.load_state_dict(state)
    assert torch.equal(other.eval()(IMAGES), net.eval()(IMAGES))


def test_weights_may_be_held_for_several_calls():
    net = generate_into(make_net(), chunk=32).eval()
    held = functional_call(net.module, net.weights(), (IMAGES,))
    assert torch.equal(held, net(IMAGES))


# refusals


@pytest.mark.parametrize(
    ("module", "options", "setting", "value"),
    [
        (nn.ReLU(), {}, "The module", "a ReLU without any"),
        (nn.Linear(2, 2), {"share": "layer"}, "share", "'layer'"),
        (nn.Linear(2, 2), {"chnk": 4}, "setting", "'chnk'"),
        (nn.Linear(2048, 1024), {"chunk": 1}, "chunk", "1"),
    ],
)
def test_what_cannot_be_generated_is_refused_in_a_sentence(module, options, setting, value):
    with refused(setting, value):
        generate_into(module, **options)

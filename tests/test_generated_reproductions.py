"""What the reproductions with generated weights must equal, and what they say where something is missing."""

import pytest
import torch

from qtha_lab.errors import Refusal
from qtha_lab.problems.environments import environments
from qtha_lab.reproductions import REPRODUCTIONS, dist_qtrl, federated_qt

NAMES = ("federated_qt", "dist_qtrl")


def trained(module):
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", NAMES)
def test_they_register_themselves_with_controls(name):
    of = REPRODUCTIONS[name]
    assert {"classical", "frozen"} <= of.arms.keys()
    assert {claim.control for claim in of.claims} >= {"classical", "frozen"}


# counts


def test_13706_weights_take_14_qubits_one_by_one_and_8_in_chunks_of_54():
    # 16·9 + 16, 32·16·9 + 32, 64·128 + 64, 10·64 + 10
    assert trained(federated_qt.network("cnn")) == 160 + 4640 + 8256 + 650 == 13_706
    qubits = {
        arm: federated_qt.network(arm).circuits()[0].n_qubits for arm in ("federated", "unchunked")
    }
    assert qubits == {"federated": 8, "unchunked": 14}
    # 8 angles in 8 blocks, and 9-4-20-4-54
    assert trained(federated_qt.network("federated")) == 64 + 40 + 100 + 84 + 270
    assert trained(federated_qt.network("classical")) == trained(federated_qt.network("federated"))


# agents


def played(seeds, rounds=3):
    """The generator's numbers after some rounds of agents with these seeds."""
    pytest.importorskip("gymnasium")
    agents = [dist_qtrl.Agent("CartPole-v1", 2, seed) for seed in seeds]
    torch.manual_seed(0)
    model = dist_qtrl.policy(agents[0], "four_agents")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(rounds):
        dist_qtrl.round_of(model, agents, optimizer)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_agents_of_equal_seeds_are_one_agent():
    one = played([7])
    assert torch.equal(played([7, 7]), one)  # halves of a gradient add up to it exactly
    torch.testing.assert_close(played([7, 7, 7, 7]), one, rtol=1e-3, atol=1e-4)
    assert not torch.equal(played([7, 8]), one)


def test_an_environment_that_does_not_exist_is_a_sentence():
    pytest.importorskip("gymnasium")
    with pytest.raises(Refusal, match="no environment 'CartPole-v7' in gymnasium: did you mean"):
        environments("CartPole-v7", 2)
    with pytest.raises(Refusal, match="'Pendulum-v1' has no finite set of actions"):
        environments("Pendulum-v1", 2)


def test_what_an_episode_earns_is_counted_once():
    pytest.importorskip("gymnasium")
    torch.manual_seed(0)
    agent = dist_qtrl.Agent("CartPole-v1", 3, seed=0)
    model = dist_qtrl.policy(agent, "mlp")
    weights = dict(model.named_parameters())
    for _ in range(4):
        agent.play(model, weights)
    # CartPole pays 1 a step: 3 · 128 steps less one reset for each end
    resets = len(agent.ended) - int(agent.over.sum())
    assert sum(agent.ended) + agent.running.sum() == 3 * 128 - resets

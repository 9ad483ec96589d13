"""What the reproductions with generated weights must equal, and what they say where something is missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from qtha_lab.errors import Refusal
from qtha_lab.problems import speech
from qtha_lab.problems.environments import environments
from qtha_lab.reproductions import REPRODUCTIONS, dist_qtrl, federated_qt, qt_cnn

NAMES = ("federated_qt", "qt_cnn", "dist_qtrl")


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


def test_the_generator_for_speech_trains_less_than_a_third_and_the_small_network_about_as_much():
    counts = {arm: trained(qt_cnn.network(arm)) for arm in ("generated", "cnn", "small_cnn")}
    assert counts["cnn"] == (13 * 5 + 1) * 32 + (32 * 5 + 1) * 64 + 65 * 2
    assert counts["generated"] == 7 * 8 + 36 + 100 + 84 + 640
    assert counts["generated"] < 0.3 * counts["cnn"]
    assert counts["small_cnn"] == pytest.approx(counts["generated"], rel=0.05)


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


# speech


def test_missing_recordings_are_a_sentence_with_the_command(monkeypatch):
    monkeypatch.setattr(speech, "SOUNDS", Path("nowhere"))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(
        Refusal, match=r"speech needs asterisk-core-sounds-en-wav.*espeak-ng.*sudo apt-get install"
    ):
        speech.check_installed()


def test_a_tone_lies_in_its_mel_band_and_louder_is_the_same():
    time = np.arange(speech.LONG) / speech.RATE
    tone = np.sin(2 * np.pi * 1000 * time)
    features = speech.mfcc(tone)
    assert features.shape == (speech.COEFFICIENTS, speech.FRAMES)
    np.testing.assert_allclose(speech.mfcc(10 * tone), features, atol=0.05)  # the level is the 0th
    bands = speech._mel_bands()
    at = bands[:, round(1000 / (speech.RATE / 256))]
    assert at.sum() == pytest.approx(1, abs=1e-6)  # neighbouring triangles add up to one

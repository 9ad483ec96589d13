"""Known values of reproductions with generated weights, and their refusals where something is
missing.
"""

import gzip
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from support.refusals import refused

from qtha_lab.core.errors import Refusal
from qtha_lab.reproductions import REPRODUCTIONS, dist_qtrl, federated_qt, qt_cnn, reproduce
from qtha_lab.reproductions.machinery.agents import Agent, AgentConfig, playing
from qtha_lab.reproductions.machinery.registry import reproduction_of
from qtha_lab.runs import run
from qtha_lab.tasks.problems import speech
from qtha_lab.tasks.problems.environments import environments, goal_of

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
    assert trained(federated_qt.image_network("cnn")) == 160 + 4640 + 8256 + 650 == 13_706
    qubits = {
        arm: federated_qt.image_network(arm).circuits()[0].n_qubits
        for arm in ("federated", "unchunked")
    }
    assert qubits == {"federated": 8, "unchunked": 14}
    # 8 angles in 8 blocks, and 9-4-20-4-54
    assert trained(federated_qt.image_network("federated")) == 64 + 40 + 100 + 84 + 270
    assert trained(federated_qt.image_network("classical")) == trained(
        federated_qt.image_network("federated")
    )


def test_the_generator_for_speech_trains_less_than_a_third_and_the_small_network_about_as_much():
    counts = {arm: trained(qt_cnn.speech_network(arm)) for arm in ("generated", "cnn", "small_cnn")}
    assert counts["cnn"] == (13 * 5 + 1) * 32 + (32 * 5 + 1) * 64 + 65 * 2 == qt_cnn.N_WEIGHTS
    assert counts["generated"] == 7 * 8 + 36 + 100 + 84 + 640
    assert counts["generated"] < 0.3 * counts["cnn"]
    assert counts["small_cnn"] == pytest.approx(counts["generated"], rel=0.05)


# agents

CART, GRID = "CartPole-v1", "MiniGrid-Empty-5x5-v0"


@pytest.fixture
def gymnasium():
    return pytest.importorskip("gymnasium")


def played(seeds, rounds=3, on="here", environment=CART):
    """The generator's numbers after some rounds of agents with these seeds."""
    torch.manual_seed(0)
    model = dist_qtrl.policy(environment, "four_agents")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    with playing([AgentConfig(environment, 2, seed, model.module) for seed in seeds], on) as play:
        for _ in range(rounds):
            dist_qtrl.round_of(model, play, optimizer)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("environment", [CART, GRID])
def test_agents_of_equal_seeds_are_one_agent(gymnasium, environment):
    if environment == GRID:
        pytest.importorskip("minigrid")
    one = played([7], environment=environment)
    # two and four equal gradients add up to two and four of one exactly
    assert torch.equal(played([7, 7], environment=environment), one)
    assert torch.equal(played([7, 7, 7, 7], environment=environment), one)
    assert not torch.equal(played([7, 8], environment=environment), one)


@pytest.mark.slow
def test_agents_on_ray_send_the_bits_that_agents_here_send(gymnasium):
    pytest.importorskip("ray")
    torch.set_num_threads(1)
    assert torch.equal(played([3, 4], on="ray"), played([3, 4]))


def test_an_agents_gradient_is_that_of_its_loss_by_hand(gymnasium):
    """One episode, one end in the middle: targets are discounted rewards up to it.

    Advantages have mean 0 and variance 1.
    """
    torch.manual_seed(0)
    net = dist_qtrl.policy(CART, "mlp")
    agent = Agent(AgentConfig(CART, 1, 5, net))
    weights = dict(net.named_parameters())
    leaves = {name: tensor.detach().requires_grad_() for name, tensor in weights.items()}
    seen, actions, rewards, ends, counts = agent._steps(leaves)
    loss = agent._loss(leaves, seen, actions, rewards, ends, counts)
    outputs = net(torch.cat([seen, agent.observations[None]]))[:, 0]
    values = outputs[:, -1].detach().tolist()
    gains, terms, n = [], [], int(counts.sum())
    assert 0 < ends.sum() < 32
    for step in range(32):
        if not counts[step]:
            continue
        target, factor, at = 0.0, 1.0, step
        while True:
            target += factor * rewards[at].item()
            factor *= 0.99
            if ends[at]:
                break
            at += 1
            if at == 32:
                target += factor * values[32]
                break
        logs = outputs[step, :-1].log_softmax(-1)
        gain = target - outputs[step, -1]
        entropy = -(logs.exp() * logs).sum()
        gains.append(gain.item())
        terms.append((logs[actions[step, 0]], 0.5 * gain**2 - 0.01 * entropy))
    advantages = (np.array(gains) - np.mean(gains)) / np.std(gains, ddof=1)
    total = sum(rest - a * chosen for a, (chosen, rest) in zip(advantages, terms, strict=True))
    assert loss.item() == pytest.approx((total / n).item(), rel=1e-4)


def test_what_an_episode_earns_is_counted_once(gymnasium):
    torch.manual_seed(0)
    net = dist_qtrl.policy(CART, "mlp")
    agent = Agent(AgentConfig(CART, 3, 0, net))
    for _ in range(4):
        agent.play(dict(net.named_parameters()))
    # CartPole pays 1 a step: 3 · 128 steps less one reset for each end
    resets = len(agent.ended) - int(agent.over.sum())
    assert sum(agent.ended) + agent.running.sum() == 3 * 128 - resets


def test_a_grid_is_seen_as_a_row_of_numbers_from_0_to_1(gymnasium):
    pytest.importorskip("minigrid")
    envs = environments(GRID, 2)
    seen, _ = envs.reset(seed=0)
    assert seen.shape == (2, 7 * 7 * 3)
    assert 0 <= seen.min() <= seen.max() <= 1
    assert envs.single_action_space.n == 7
    assert goal_of(GRID) == 0.9


@pytest.mark.parametrize(
    ("environment", "setting", "value"),
    [
        (
            "CartPole-v7",
            "environment",
            "'CartPole-v7': did you mean 'CartPole-v1'?",
        ),
        ("Pendulum-v1", "The environment", "'Pendulum-v1'"),
        (
            "MountainCarContinuous-v0",
            "The environment",
            "'MountainCarContinuous-v0'",
        ),
    ],
)
def test_an_environment_that_cannot_be_played_is_a_sentence_before_any_work(
    gymnasium, environment, setting, value, tmp_path
):
    with refused(setting, value):
        reproduce(f"dist_qtrl(environment={environment})", tmp_path, quick=True)
    assert not list(tmp_path.iterdir())


def test_a_library_that_is_missing_is_a_sentence_with_the_command(monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    absent = ("gymnasium", "minigrid", "ray")
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n in absent else find(n, *a)
    )
    with refused("Environment CartPole-v1", rule="gymnasium"):
        goal_of(CART)
    with refused(rule="without gymnasium and minigrid"):
        goal_of(GRID)


def test_settings_of_a_reproduction_are_checked_and_name_its_folder_and_command(gymnasium):
    from qtha_lab.reproductions.machinery.reproduction_study import folder_name

    of = reproduction_of("dist_qtrl(environment=Acrobot-v1,on=here)")
    assert (of.text, of.data) == ("dist_qtrl(environment=Acrobot-v1)", "Acrobot-v1")
    assert folder_name(of, quick=True) == "dist_qtrl-environment_Acrobot-v1-quick"
    assert reproduction_of("dist_qtrl").data == GRID
    with refused("on", "'moon'"):
        reproduction_of("dist_qtrl(on=moon)")
    with refused("setting of dist_qtrl", "'env'"):
        reproduction_of("dist_qtrl(env=x)")


@pytest.mark.slow
def test_a_killed_reproduction_of_agents_goes_on(gymnasium, tmp_path):
    command = [
        sys.executable,
        "-c",
        "from qtha_lab.cli import main; main()",
        "reproduce",
        "dist_qtrl",
        "--quick",
        "--seeds",
        "1",
        "--out",
        str(tmp_path),
    ]
    folder = tmp_path / "dist_qtrl-quick" / "runs"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not [run for run in run.list_runs(folder) if run.status().state == "finished"]:
            assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    done = {run.path for run in run.list_runs(folder) if run.status().state == "finished"}
    times = {path: (path / "summary.json").stat().st_mtime_ns for path in done}
    verdict = reproduce("dist_qtrl", tmp_path, quick=True, seeds=1)
    assert set(verdict["arms"]) == set(REPRODUCTIONS["dist_qtrl"].arms)
    assert {path: (path / "summary.json").stat().st_mtime_ns for path in done} == times
    assert {run.status().state for run in run.list_runs(folder)} == {"finished"}


# speech


@pytest.fixture
def nothing_fetched(tmp_path, monkeypatch):
    """An empty cache, and a machine without the packages."""
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    monkeypatch.setattr(speech, "INSTALLED", tmp_path / "nowhere")
    return tmp_path


def test_missing_recordings_are_a_sentence_with_the_command_before_any_work(nothing_fetched):
    with refused(
        "asterisk-core-sounds-en-wav, asterisk-core-sounds-en", rule="are not on this machine"
    ):
        reproduce("qt_cnn", nothing_fetched / "out", quick=True)
    assert not (nothing_fetched / "out").exists()


def test_without_apt_or_network_the_command_to_type_is_told(nothing_fetched, monkeypatch):
    programs = nothing_fetched / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    with refused("apt-get", rule="installed for the recordings"):
        speech.fetch_recordings()
    for name in ("apt-get", "dpkg-deb"):
        program = programs / name
        program.write_text(
            "#!/bin/sh\necho 'E: Unable to locate package espeak-ng' >&2\nexit 100\n"
        )
        program.chmod(0o755)
    with refused("`apt-get install`", "E: Unable to locate package espeak-ng"):
        speech.fetch_recordings()
    assert not (nothing_fetched / "speech" / "debian").exists()


def test_all_reproductions_leave_out_what_cannot_run_and_say_why(nothing_fetched):
    from qtha_lab.cli.reproduce import _omissions

    assert _omissions(["qt_cnn", "lora"]).keys() == {"qt_cnn"}


def test_texts_are_lines_of_name_and_words_and_sounds_are_none(tmp_path):
    file = tmp_path / "texts.gz"
    with gzip.open(file, "wt") as lines:
        lines.write("; comment\nhello: Hello: there.\nbeep: [a beep]\n\ndigits/1: one\n")
    assert speech.texts(file) == {"hello": "Hello: there.", "digits/1": "one"}


def test_no_text_is_on_two_sides_of_the_split():
    rows = torch.zeros(40, 13, 64)
    data = speech.Speech(
        dict.fromkeys(speech.VOICES, rows), tuple(f"text {n % 20}" for n in range(40))
    )
    sides = data.split(seed=1)
    assert [len(side) for side in sides] == [24, 6, 10]
    texts = [{data.texts[row] for row in side} for side in sides]
    assert sum(map(len, texts)) == len(set.union(*texts)) == 20
    assert not torch.equal(data.split(seed=2)[0], sides[0])


def test_coefficients_are_standardised_by_rows_of_training_alone():
    torch.manual_seed(0)
    features = {voice: 3 + 2 * torch.randn(30, 13, 64) for voice in speech.VOICES}
    train = torch.arange(20)
    scaled = qt_cnn.standardised(features, train)
    rows = torch.cat([x[train] for x in scaled.values()])
    assert rows.mean((0, 2)).abs().max() < 1e-5
    assert rows.std((0, 2)).sub(1).abs().max() < 1e-5
    features["human"][25] = 1e6
    assert torch.equal(qt_cnn.standardised(features, train)["espeak"], scaled["espeak"])


def test_a_tone_lies_in_its_mel_band_and_louder_is_the_same():
    time = np.arange(speech.LONG) / speech.RATE
    tone = np.sin(2 * np.pi * 1000 * time)
    features = speech.mfcc(tone)
    assert features.shape == (speech.COEFFICIENTS, speech.FRAMES)
    np.testing.assert_allclose(speech.mfcc(10 * tone), features, atol=0.05)  # the level is the 0th
    bands = speech._mel_bands()
    at = bands[:, round(1000 / (speech.RATE / 256))]
    assert at.sum() == pytest.approx(1, abs=1e-6)  # neighbouring triangles add up to one


def test_level_band_and_length_of_voices_are_one():
    time = np.arange(2 * speech.LONG) / speech.RATE
    sounds = [np.sin(2 * np.pi * 1000 * time), 0.01 * np.sin(2 * np.pi * 500 * time)]
    sounds[1] += 5 * np.sin(2 * np.pi * 50 * time)  # outside of the band
    equal = [speech._level(speech._in_band(sound)) for sound in sounds]
    assert [len(sound) for sound in equal] == [speech.LONG] * 2
    assert [np.mean(sound**2) for sound in equal] == pytest.approx([1, 1])
    spectrum = np.abs(np.fft.rfft(equal[1])) ** 2
    frequencies = np.fft.rfftfreq(speech.LONG, 1 / speech.RATE)
    assert spectrum[(frequencies > 450) & (frequencies < 550)].sum() > 0.95 * spectrum.sum()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("apt-get") is None, reason="no Debian")
def test_recordings_are_fetched_into_the_cache_and_the_synthesiser_speaks_from_there(
    nothing_fetched, capsys
):
    try:
        file = speech.fetch_speech()
    except Refusal as record:
        pytest.skip(str(record))
    assert file.is_relative_to(nothing_fetched)
    assert speech.recordings().root == nothing_fetched / "speech" / "debian"
    data = speech.speech()
    count = len(data.texts)
    assert count > 300
    assert all(x.shape == (count, 13, 64) for x in data.features.values())
    assert all(torch.isfinite(x).all() for x in data.features.values())
    assert not os.environ.get("ESPEAK_DATA_PATH")

"""The reproductions of heads: their controls, their data, and what their parts must equal."""

import numpy as np
import pytest
import torch
from support.refusals import refused

from qtha_lab.adapters.heads import head_named
from qtha_lab.reproductions import REPRODUCTIONS, hqrnn, pretrained_vqc, reproduce
from qtha_lab.reproductions.machinery.classification import principal
from qtha_lab.reproductions.machinery.registry import reproduction_of
from qtha_lab.tasks.problems import engines
from qtha_lab.tasks.problems.digits import digits
from qtha_lab.tasks.problems.engines import (
    CAP,
    N_SENSORS,
    WINDOW,
    read_cmapss,
    synthetic_fleet,
)

NAMES = ("pretrained_vqc", "cotenqu", "hqrnn")


@pytest.mark.parametrize(
    ("name", "controls"),
    [
        ("pretrained_vqc", {"pca_4", "cosine_4", "linear"}),
        ("cotenqu", {"pca_5_36", "product_5_36", "cosine_36", "linear_36", "linear_39"}),
        ("hqrnn", {"lstm", "sin", "frozen"}),
    ],
)
def test_they_register_themselves_with_controls(name, controls):
    assert {claim.control for claim in REPRODUCTIONS[name].claims} >= controls


def test_controls_have_about_as_many_numbers():
    counts = {
        name: head_named(call).n_parameters(N_SENSORS, 1) for name, (_, call) in hqrnn.ARMS.items()
    }
    # 4 (14 + 16 + 1) + 4 · 8 + 4 · 16 · 5 + 17; without the 32 angles; 4 · 6 (14 + 6 + 2) + 7
    assert counts == {"hqrnn": 493, "sin": 493, "frozen": 461, "lstm": 535}


def test_a_synthetic_engine_fails_at_its_end_and_wears_steadily(monkeypatch):
    monkeypatch.setattr(engines, "NOISE", 0.0)
    ones = np.ones(N_SENSORS)
    sensors = engines._engine(np.random.default_rng(0), ones, ones)
    worn = sensors[:, 0]  # 1 − h, with gain and power 1
    assert worn[-1] == pytest.approx(1.0, abs=1e-12)
    assert 0 <= worn[0] < 0.11
    assert (np.diff(worn) > 0).all()
    assert engines.SHORTEST <= len(sensors) < engines.LONGEST


def test_windows_of_a_fleet_are_what_was_seen_last_and_what_is_left():
    fleet = synthetic_fleet(3, 4, seed=1)
    again = synthetic_fleet(3, 4, seed=1)
    assert torch.equal(fleet.train.inputs, again.train.inputs)
    assert torch.equal(fleet.test.left, again.test.left)
    assert fleet.test.inputs.shape == (4, WINDOW, N_SENSORS)
    left = fleet.train.left
    assert (left == 0).sum() == 2  # each training engine is seen until it fails
    assert left.max() == CAP
    # a window is the one before it moved on by a cycle
    assert torch.equal(fleet.train.inputs[1, :-1], fleet.train.inputs[0, 1:])
    # those of the third engine follow one another
    assert (fleet.eval.left[:-1] >= fleet.eval.left[1:]).all()
    assert fleet.eval.left[-1] < WINDOW
    assert not torch.isin(fleet.eval.inputs, fleet.train.inputs).any()


def write_cmapss(folder, lengths=(40, 35), seen=(33, 12)):
    random = np.random.default_rng(0)
    for name, cycles in (("train", lengths), ("test", seen)):
        rows = [
            [unit, cycle, *random.random(24)]
            for unit, length in enumerate(cycles, 1)
            for cycle in range(1, length + 1)
        ]
        np.savetxt(folder / f"{name}_FD001.txt", rows)
    np.savetxt(folder / "RUL_FD001.txt", [20, 130][: len(seen)])


def test_a_folder_of_cmapss_files_loads(tmp_path):
    write_cmapss(tmp_path)
    fleet = read_cmapss(tmp_path)
    assert len(fleet.train.left) == 40 - WINDOW + 1
    assert fleet.eval.left.tolist() == [5.0]  # of the second engine, after its first 30 cycles
    assert fleet.test.left.tolist() == [20.0]  # the other was seen for 12 cycles
    assert fleet.test.inputs.shape == (1, WINDOW, 14)
    (tmp_path / "RUL_FD001.txt").unlink()
    with refused("RUL_FD001.txt", "no file"):
        read_cmapss(tmp_path)
    np.savetxt(tmp_path / "train_FD001.txt", np.ones((40, 5)))
    with refused("train_FD001.txt", "5"):
        read_cmapss(tmp_path)


def test_engines_of_a_folder_are_trained_and_tested_on(tmp_path):
    write_cmapss(tmp_path)
    text = f"hqrnn(folder={tmp_path})"
    assert reproduction_of("hqrnn").data.startswith("synthetic engines (80 to train, 20 to ")
    assert reproduction_of(text).data == (
        f"engines of C-MAPSS FD001 in {tmp_path} (14 sensors, window 30)"
    )
    verdict = reproduce(text, tmp_path / "out", quick=True, seeds=1)
    [lstm] = verdict["arms"]["lstm"]
    torch.manual_seed(0)
    network = head_named("lstm(hidden=6)").module(N_SENSORS, 1)
    first = hqrnn.errors(network, read_cmapss(tmp_path).eval)
    assert lstm["eval_loss_start"] == pytest.approx((first["rmse"] / CAP) ** 2)


def test_principal_components_have_unit_variance_and_are_not_correlated():
    train = principal(digits(100, 10, seed=0, classes=(3, 6)), 4).train.double()
    assert torch.allclose(torch.cov(train.T), torch.eye(4, dtype=torch.float64), atol=1e-4)


def test_the_pre_trained_network_is_frozen_and_knows_other_digits():
    assert not any(p.requires_grad for p in pretrained_vqc.pre_trained(0).parameters())
    assert pretrained_vqc.pre_trained(0) is pretrained_vqc.pre_trained(0)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_quick_form_ends_with_a_word_on_every_claim(name, tmp_path):
    verdict = reproduce(name, tmp_path, quick=True)
    assert {claim["verdict"] for claim in verdict["claims"]} <= {
        "shown",
        "equivalent",
        "inconclusive",
        "opposite shown",
    }
    if name == "hqrnn":
        return
    starts = {
        e["eval_loss_start"]
        for arm in verdict["arms"].values()
        for e in arm
        if "pca" not in e["label"]
    }
    assert max(starts) - min(starts) < 1e-4  # every head at one loss

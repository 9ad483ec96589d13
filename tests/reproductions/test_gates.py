"""Claims without an answer: a control that guesses, or arms at the ceiling."""

import dataclasses
import re

import numpy as np
import pytest

from qtha_lab.reproductions import REPRODUCTIONS
from qtha_lab.reproductions.machinery import listing
from qtha_lab.reproductions.machinery.registry import PaperClaim
from qtha_lab.reproductions.machinery.verdicts import is_gated, verdicts

RECORDED = [name for name in sorted(REPRODUCTIONS) if listing.recorded_verdict(name)]


def decided(arm, control, **gate):
    """Decide one claim on accuracies of five seeds."""
    claim = PaperClaim("a", "b", "test_accuracy", "more accurate", **gate)
    of = dataclasses.replace(REPRODUCTIONS["federated_qt"], claims=[claim])
    entries = {
        name: {seed: {"test_accuracy": value + 0.001 * (step * seed % 5)} for seed in range(5)}
        for name, value, step in (("a", arm, 1), ("b", control, 2))
    }
    (verdict,) = verdicts(of, entries)
    return verdict


def test_a_claim_against_a_control_that_guesses_is_not_asked():
    assert decided(0.7, 0.094, chance=0.1).word == "not asked"
    assert decided(0.7, 0.094).word == "shown"
    assert decided(0.7, 0.15, chance=0.1).word == "shown"


def test_a_claim_between_arms_at_the_ceiling_is_not_asked():
    assert decided(1.0, 0.996, ceiling=0.995).word == "not asked"
    assert decided(1.0, 0.97, ceiling=0.995).word == "shown"


def test_a_claim_that_is_not_asked_states_its_numbers():
    assert "test accuracy, a 0.702, b 0.096" in decided(0.7, 0.094, chance=0.1).sentence


def test_a_loss_is_at_its_start_from_above():
    claim = PaperClaim("a", "b", "eval_loss", "lower", chance=4.0)
    assert is_gated(claim, (3.0, 4.1))
    assert not is_gated(claim, (3.0, 3.5))


def test_a_claim_with_a_diverged_seed_is_inconclusive():
    claim = PaperClaim("a", "b", "test_accuracy", "more accurate")
    of = dataclasses.replace(REPRODUCTIONS["federated_qt"], claims=[claim])
    a = {seed: {"test_accuracy": 0.7 + 0.001 * seed} for seed in range(5)}
    b = {seed: {"test_accuracy": 0.6 + 0.002 * seed} for seed in range(5)}
    assert verdicts(of, {"a": a, "b": b})[0].word == "shown"
    (verdict,) = verdicts(of, {"a": a, "b": b | {2: {"test_accuracy": None}}})
    assert verdict.word == "inconclusive"
    assert "4 seeds; 1 seeds without a result" in verdict.sentence


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_verdicts_pass_the_gates_of_their_claims(name):
    recorded = listing.recorded_verdict(name)["claims"]
    for claim, kept in zip(REPRODUCTIONS[name].claims, recorded, strict=True):
        if kept["means"] and is_gated(claim, tuple(kept["means"])):
            assert kept["verdict"] == "not asked"


def test_a_margin_names_the_seeds_that_decide_as_a_shift_of_the_arm_does():
    """The arm is above its margin by half a standard error: far from decided."""
    random = np.random.default_rng(0)
    control = random.normal(size=6)
    arm = control + 0.3 + 0.05 * random.normal(size=6)
    arm += 0.31 - (arm - control).mean()
    sentences = []
    for margin, shift in ((0.3, 0.0), (0.0, 0.3)):
        claim = PaperClaim("arm", "control", "rmse", "no worse", margin=margin)
        of = dataclasses.replace(REPRODUCTIONS["hqrnn"], claims=[claim])
        entries = {
            "arm": {seed: {"rmse": value - shift} for seed, value in enumerate(arm)},
            "control": {seed: {"rmse": value} for seed, value in enumerate(control)},
        }
        [verdict] = verdicts(of, entries)
        assert verdict.word == "inconclusive"
        sentences.append(re.search(r"detectable .* seeds would decide", verdict.sentence)[0])
    assert sentences[0] == sentences[1]
    assert int(sentences[0].split()[-4]) > 100

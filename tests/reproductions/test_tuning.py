"""Fine-tuned arms: their learning rates are chosen first, and test rows enter their intervals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from qtha_lab.cli import main
from qtha_lab.experiment import Experiment
from qtha_lab.reproductions import REPRODUCTIONS, PaperClaim, reproduce, reproduction
from qtha_lab.reproductions.machinery.fine_tunes import ModelAndTask, experiment_on
from qtha_lab.reproductions.machinery.listing import sections, short_table, verdict_of
from qtha_lab.reproductions.machinery.tuning import (
    FACTORS,
    SEEDS,
    best_factor,
    trial_sentences,
)
from qtha_lab.reproductions.machinery.verdicts import verdicts
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison.paired import paired_difference
from qtha_lab.studies.comparison.row_losses import TestItems

WORDS = {
    "title": "Two ranks",
    "arxiv": "0000.00002",
    "claim": "Rank 1 suffices.",
    "works": "nothing",
    "source": "a test",
    "control": "rank 2",
    "data": "six steps",
    "minutes": 0.1,
}
ARMS = {"one": "lora(r=1,learning_rate=0.01)", "two": "lora(r=2)"}


@pytest.fixture
def two_ranks():
    """A reproduction of two short fine-tunes of which nothing else knows."""

    @reproduction(
        name="two_ranks", arms=ARMS, claims=[PaperClaim("one", "two", "test_loss", "as low")], **WORDS
    )  # fmt: skip
    def fine_tunes(arm: str, seed: int, quick: bool) -> Experiment:
        return experiment_on(ModelAndTask(), ARMS[arm], seed, quick=True)

    yield REPRODUCTIONS["two_ranks"]
    REPRODUCTIONS.forget(__name__)


def test_a_diverged_trial_is_never_the_best_rate():
    assert best_factor({3.0: None, 1.0: 4.2, 0.3: 4.3}) == 1.0
    assert best_factor({0.3: None, 1.0: None}) == 0.3


@pytest.fixture
def parabola():
    """A reproduction whose arms end lowest at 0.3 and 0.1; the rates that it was called with."""
    rates = []

    @reproduction(
        name="parabola", arms={"fast": "", "slow": ""}, tuned=True,
        claims=[PaperClaim("fast", "slow", "eval_loss", "lower")], **WORDS,
    )  # fmt: skip
    def work(arm, seed, quick, log):
        rate = log.rate(0.1)
        rates.append((arm, seed, rate))
        log.train(1, loss=1.0)
        log.evaluate(1, loss=abs(rate - {"fast": 0.3, "slow": 0.1}[arm]))
        log.end(trainable_parameters=1, learning_rate=rate)

    yield rates
    REPRODUCTIONS.forget(__name__)


def test_an_arm_that_does_its_own_work_reads_the_best_of_its_rates(parabola, tmp_path):
    verdict = reproduce("parabola", tmp_path, seeds=3)
    tried = [
        (arm, seed, rate)
        for seed in SEEDS
        for arm in ("fast", "slow")
        for rate in (0.0111, 0.0333, 0.1, 0.3, 0.9)
    ]
    best = [(arm, seed, {"fast": 0.3, "slow": 0.1}[arm]) for seed in range(3) for arm in ("fast", "slow")]  # fmt: skip
    assert parabola == tried + best
    assert verdict["tuned"]["fast"]["rate"] == 0.3
    assert verdict["tuned"]["slow"]["tried"] == [0.0111, 0.0333, 0.1, 0.3, 0.9]
    assert reproduce("parabola", tmp_path, seeds=3)["tuned"] == verdict["tuned"]
    assert len(parabola) == len(tried + best)  # nothing was repeated
    assert reproduce("parabola", tmp_path, quick=True)["tuned"] == {}
    assert {rate for *_, rate in parabola[len(tried + best) :]} == {0.1}


def test_a_rate_within_the_noise_of_the_trials_of_an_arm_is_named():
    rates, best, near, far = [0.01, 0.03, 0.09], [2.0, 2.1, 2.2], [2.1, 2.0, 2.3], [2.5, 2.6, 2.8]
    tuned = {
        "undecided": {"rate": 0.01, "tried": rates, "trials": [best, near, far]},
        "clear": {"rate": 0.01, "tried": rates, "trials": [best, far, [2.0, None, 2.0]]},
        "of one seed": {"rate": 0.01, "tried": rates},
    }
    (sentence,) = trial_sentences(tuned)
    assert sentence.startswith(
        "undecided at 0.03 is as good as at 0.01 within the noise of 3 trial"
    )


@pytest.fixture
def undecided():
    """A reproduction whose rates differ by the sign of the seed only."""

    @reproduction(
        name="undecided", arms={"a": "", "b": ""}, tuned=True,
        claims=[PaperClaim("a", "b", "eval_loss", "lower")], **WORDS,
    )  # fmt: skip
    def work(arm, seed, quick, log):
        rate = log.rate(0.1)
        log.train(1, loss=1.0)
        log.evaluate(1, loss=1 + (-1) ** seed * abs(rate - 0.1))
        log.end(trainable_parameters=1, learning_rate=rate)

    yield
    REPRODUCTIONS.forget(__name__)


def test_a_reproduction_prints_the_rates_within_the_noise_of_its_trials(
    undecided, tmp_path, monkeypatch, capsys
):
    words = ["qtha-lab", "reproduce", "undecided", "--seeds", "3", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="0"):
        main()
    # of seeds 1000 to 1002 two are even: 0.1 is best, and 0.0333 is 0.067 above, below and above
    text = " ".join(capsys.readouterr().out.split())
    for arm in "ab":
        assert f"- {arm} at 0.0333 is as good as at 0.1 within the noise of 3 trial seeds" in text


def test_the_minutes_of_the_list_count_the_trial_seeds_of_today(tmp_path):
    recorded = verdict_of("lora", tmp_path)
    assert {"seeds"} & recorded["tuned"]["rank_1"].keys() == set()  # it had one trial seed
    head, *rows = short_table(tmp_path)
    row = dict(zip(head, next(row for row in rows if row[0] == "lora"), strict=True))
    share = (len(FACTORS) * len(SEEDS) + recorded["seeds"]) / (len(FACTORS) + recorded["seeds"])
    assert float(row["minutes"]) == pytest.approx(share * recorded["seconds"] / 60, rel=0.005)
    assert "with a seed of their own" in sections()


def test_test_losses_are_paired_by_seed_and_row(two_ranks):
    random = np.random.default_rng(0)
    losses = {arm: random.normal(size=(5, 40)) for arm in ARMS}
    entries = {
        arm: {s: {"run_id": f"{arm}{s}", "test_loss": row.mean()} for s, row in enumerate(of)}
        for arm, of in losses.items()
    }
    names = tuple(f"row{i}" for i in range(40))
    items = {f"{arm}{s}": TestItems(names, row) for arm, of in losses.items() for s, row in enumerate(of)}  # fmt: skip
    [verdict] = verdicts(two_ranks, entries, items=items)
    assert verdict.difference == paired_difference(losses["one"], losses["two"])
    assert verdict.difference.items == 40
    assert verdict.sentence.endswith(", 5 seeds and 40 rows, taken as independent)")
    [by_seeds] = verdicts(two_ranks, entries)
    assert by_seeds.difference == paired_difference(losses["one"].mean(1), losses["two"].mean(1))


@pytest.mark.slow
def test_every_arm_gets_as_many_trials_and_trains_at_its_best_rate(two_ranks, tmp_path):
    verdict = reproduce("two_ranks", tmp_path, seeds=3)
    trials = list_runs(tmp_path / "two_ranks" / "tuning")
    assert {run.experiment.seed for run in trials} == {*SEEDS}
    for arm, tuned in verdict["tuned"].items():
        of_arm = [run for run in trials if run.experiment.method.title == arm]
        assert len(of_arm) == len(FACTORS) * len(SEEDS)
        by_rate = {}
        for run in of_arm:
            by_rate.setdefault(run.summary["learning_rate"], []).append(run.summary["eval_loss"])
        losses = {rate: np.mean(of) for rate, of in by_rate.items()}
        assert tuned["rate"] == min(losses, key=losses.get)
        assert dict(zip(tuned["tried"], tuned["eval_loss"], strict=True)) == pytest.approx(losses)
        assert [sorted(of) for of in tuned["trials"]] == [
            sorted(by_rate[r]) for r in tuned["tried"]
        ]
        assert {entry["learning_rate"] for entry in verdict["arms"][arm]} == {tuned["rate"]}
    assert verdict["tuned"]["one"]["tried"] == [0.00111, 0.00333, 0.01, 0.03, 0.09]
    assert reproduce("two_ranks", tmp_path, seeds=3)["arms"] == verdict["arms"]
    assert len(list_runs(tmp_path / "two_ranks" / "tuning")) == len(trials)
    assert verdict_of("two_ranks", tmp_path)["tuned"] == verdict["tuned"]


@pytest.mark.slow
def test_a_recorded_seed_run_again_gives_the_recorded_numbers():
    command = [sys.executable, "-m", "tools.rerun_verdict", "pretrained_vqc", "--seed", "3"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stdout + done.stderr
    first, *rows = done.stdout.splitlines()
    assert first.startswith("pretrained_vqc, seed 3, recorded ")
    assert len(rows) == 13
    assert max(abs(float(row.split()[-1])) for row in rows) < 1e-6

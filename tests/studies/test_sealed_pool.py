"""The sealed test pools: rows that nothing was chosen on, opened once for each claim."""

import pytest
from support.refusals import refused

from qtha_lab import Comparison, Experiment, load_task
from qtha_lab.core.paths import state_dir
from qtha_lab.studies.comparison import run_comparison
from qtha_lab.studies.comparison.protocol import open_sealed_pool, openings

SMALL = {"steps": 2, "batch_size": 2, "max_length": 48, "train_rows": 8, "eval_rows": 4}
ENDS = {"eval_every": 2, "generate_rows": 0, "spectrum_every": 0, "test_rows": 4, "threads": 1}
TRAINING = SMALL | ENDS | {"sealed": True}


@pytest.fixture(autouse=True)
def own_state(monkeypatch, tmp_path):
    monkeypatch.setenv("QTHA_LAB_STATE", str(tmp_path / "state"))


def sealed(**changes):
    fields = {"model": "tiny", "task": "definitions", "methods": "lora(r=1),lora(r=2)"}
    return Comparison(**fields | {"seeds": [0, 1, 2], "training": TRAINING} | changes)


@pytest.mark.parametrize(
    ("task", "count"), [("definitions", 1024), ("supersense", 1024), ("chat", 512)]
)
def test_the_sealed_rows_are_the_test_rows_behind_the_open_ones(task, count):
    opened, behind = load_task(task), load_task(task, sealed=True)
    keys = [{row["key"] for row in side} for side in (opened.test, behind.test)]
    assert not keys[0] & keys[1]
    assert len({row["key"] for row in opened.test[count - 1 :]}) == 1  # rows of a key stay together
    assert len(behind.test) >= 250
    assert (opened.train, opened.eval) == (behind.train, behind.eval)


def test_the_first_open_rows_are_those_of_every_recorded_comparison():
    assert load_task("definitions", test_rows=1024).test == load_task("definitions").test[:1024]


def test_a_claim_opens_the_pool_once_and_continues_without_opening_it_again():
    for _ in range(2):
        open_sealed_pool(sealed())
    assert openings("definitions") == 1
    with refused("The sealed pool of definitions", "a second comparison of"):
        open_sealed_pool(sealed(seeds=[3, 4, 5]))
    open_sealed_pool(sealed(methods="lora(r=1),lora(r=3)"))
    assert openings("definitions") == 2
    assert openings("supersense") == 0


def test_a_torn_line_of_the_openings_is_skipped():
    open_sealed_pool(sealed())
    file = state_dir() / "sealed-pool.jsonl"
    file.write_text('{"task": "defi\n[]\n' + file.read_text())
    assert openings("definitions") == 1


@pytest.mark.parametrize(
    ("asked", "setting", "value", "rule"),
    [
        (lambda: open_sealed_pool(sealed(seeds=[0, 1])), "seeds", "", "at least 3 with sealed"),
        (
            lambda: load_task("qa", sealed=True),
            "sealed",
            "",
            "false for qa: only chat, definitions",
        ),
        (lambda: Experiment(training=TRAINING).check(), "sealed", "", "false for a single run"),
        (
            lambda: sealed(tuning={"axes": {"learning_rate": [0.003, 0.01]}}),
            "sealed",
            "",
            "false with tuning",
        ),
    ],
)
def test_a_pool_that_would_be_wasted_is_refused_before_work_starts(asked, setting, value, rule):
    with refused(setting, value, rule=rule):
        asked()
    assert not (state_dir() / "sealed-pool.jsonl").exists()


@pytest.mark.slow
def test_a_comparison_tests_on_sealed_rows_and_counts_the_openings(tmp_path):
    summary = run_comparison(sealed(), tmp_path / "confirmed")
    sentence = "Tested on the sealed pool of definitions, which was opened for 1 claim so far."
    assert sentence in summary["notes"]
    assert {run["state"] for run in summary["runs"]} == {"finished"}

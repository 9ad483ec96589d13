"""The start benchmark follows a run from its launch to its end; no test asserts a time."""

import json

import pytest

from benchmarks import start


@pytest.mark.slow
def test_a_run_is_followed_from_its_launch_to_its_end_cold_and_warm():
    figures = start.bench_start("tiny", ["lora(r=2)"], steps=2, rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    assert [run["start"] for run in figures["runs"]] == ["cold", "warm"]
    for run in figures["runs"]:
        assert 0 < run["first_point"] < sum(run["wall"].values())
        assert {"libraries", "loading", "training", "evaluation"} <= run["wall"].keys()
        assert 0 < start.training_share(run) < 1
        assert 0 < start.beside_training(run) < sum(run["cpu"].values())
        assert 1 <= run["threads"] <= figures["machine"]["cores"]
    cold, warm = figures["runs"]
    # from the launch on: a warm worker has its libraries, a cold one imports them before its first
    # event
    assert cold["wall"]["libraries"] > warm["wall"]["libraries"]
    assert [row[:2] for row in start.table(figures)[1:]] == [
        ("lora(r=2)", s) for s in ("cold", "warm")
    ]
    assert "| lora(r=2) | warm |" in start.markdown(figures)

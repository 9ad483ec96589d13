"""The benches that launch something run it: a run from its launch to its end, an evaluation, the table of methods.

No test here asserts a time.
"""

import json

import pytest

from benchmarks import evaluation, methods, start


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
    # from the launch on: a warm worker has its libraries, a cold one imports them before its first event
    assert cold["wall"]["libraries"] > warm["wall"]["libraries"]
    assert [row[:2] for row in start.table(figures)[1:]] == [
        ("lora(r=2)", s) for s in ("cold", "warm")
    ]
    assert "| lora(r=2) | warm |" in start.markdown(figures)


@pytest.mark.slow
def test_both_ways_of_an_evaluation_and_of_a_step_agree():
    figures = evaluation.bench_evaluation("tiny", "qa", rows=8, batch_size=4, rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    assert [case["label"] for case in figures["cases"]] == ["evaluation", "training step"]
    for case in figures["cases"]:
        assert case["ratio"] == pytest.approx(case["plain_seconds"] / case["seconds"])
        assert case["loss_difference"] < evaluation.TOLERANCE
    tokens = figures["tokens"]
    assert (
        tokens["labels"] < tokens["real"] <= tokens["padded_by_length"] <= tokens["padded_in_order"]
    )
    assert "| evaluation |" in evaluation.markdown(figures)


@pytest.mark.slow
def test_the_table_of_methods_is_counted_once():
    figures = methods.bench_methods(rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    first, again, libraries = (figures[name] for name in ("first", "again", "libraries"))
    assert [len(calls) for calls in (first, again, libraries)] == [1, 1, 1]
    assert again[0]["cpu"] < first[0]["cpu"]  # by libraries that are not imported
    assert "| with an empty cache |" in methods.markdown(figures)

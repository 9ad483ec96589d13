"""The benches of starts and of predicted costs launch runs; no test asserts a time."""

import json

import pytest

from benchmarks import predicted, start


@pytest.mark.slow
def test_a_run_is_followed_from_launch_to_end_with_either_start():
    figures = start.bench_start("tiny", ["lora(r=2)"], steps=2, rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    assert [run["start"] for run in figures["runs"]] == ["alone", "further"]
    for run in figures["runs"]:
        assert 0 < run["first_point"] < sum(run["wall"].values())
        assert {"libraries", "loading", "training", "evaluation"} <= run["wall"].keys()
        assert 0 < start.training_share(run) < 1
        assert 0 < start.overhead(run) < sum(run["cpu"].values())
        assert 1 <= run["threads"] <= figures["machine"]["cores"]
    ((_, rows),) = start.tables(figures)
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.slow
def test_predicted_costs_stand_beside_those_of_a_run():
    figures = predicted.bench_predicted(("tiny",), ("lora(r=2)",), steps=2)
    assert json.loads(json.dumps(figures)) == figures
    (run,) = figures["runs"]
    # 6 layers, q 192 -> 192 and v 192 -> 64; LoRA r=2 trains r (in + out) per layer
    assert run["predicted"]["parameters"] == 6 * 2 * ((192 + 192) + (192 + 64))
    assert run["measured"]["parameters"] == run["predicted"]["parameters"]
    ((_, (heading, row)),) = predicted.tables(figures)
    assert len(heading) == len(row)
    assert row[3] == "1.00"

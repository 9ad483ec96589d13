"""The benches of long lists count every stage and start no run; no test here asserts a time."""

import json

import pytest
from support.refusals import refused

from benchmarks import lists
from benchmarks.lists import bench_compare, bench_list, tables
from qtha_lab.experiment.run_directory import record


def test_every_stage_is_measured(monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)
    figures = bench_list(runs=40, rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    stages = ["list", "rows", "filter", "sort by two", "group seeds", "a hundred rows as text"]
    assert list(figures["stages"]) == [*stages, "list without the index"]
    ((_, rows),) = tables(figures)
    assert [row[0] for row in rows] == ["stage", *figures["stages"]]


@pytest.mark.slow
def test_every_run_is_listed_and_none_is_started():
    figures = bench_compare([15, 30], rounds=2)
    assert json.loads(json.dumps(figures)) == figures
    assert [row["runs"] for row in figures["rows"]] == [15, 30]
    assert all(row[name] > 0 for row in figures["rows"] for name in ("first", "listed", "summary"))
    ((_, rows),) = tables(figures)
    assert [row[0] for row in rows] == ["runs", "15", "30"]


def test_a_comparison_that_would_train_is_an_error(monkeypatch):
    monkeypatch.setattr(lists, "make_comparison", lambda comparison, folder: None)
    monkeypatch.setattr(lists, "run_comparison", lambda *call: {"runs": [{}]})
    with pytest.raises(RuntimeError, match="0 of 1 runs were listed"):
        bench_compare([15])


def test_other_counts_are_refused():
    with refused("runs", "40"):
        bench_compare([15, 40])
    with refused("rounds", "1"):
        bench_compare([15], rounds=1)

"""The bench of a comparison whose runs have ended starts none of them.

No test here asserts a time.
"""

import json

import pytest

from benchmarks import comparing
from benchmarks.comparing import bench_compare, markdown
from qtha_lab.core.errors import Refusal


@pytest.mark.slow
def test_every_run_is_listed_and_none_is_started():
    figures = bench_compare([15, 30], rounds=2)
    assert json.loads(json.dumps(figures)) == figures
    assert [row["runs"] for row in figures["rows"]] == [15, 30]
    assert all(row[name] > 0 for row in figures["rows"] for name in ("first", "listed", "summary"))
    assert "| 30 |" in markdown(figures)


def test_a_comparison_that_would_train_is_an_error(monkeypatch):
    monkeypatch.setattr(comparing, "make_comparison", lambda comparison, folder: None)
    monkeypatch.setattr(comparing, "run", lambda *call: {"runs": [{}]})
    with pytest.raises(RuntimeError, match="1 runs were looked at 0 times"):
        bench_compare([15])


def test_other_counts_are_refused():
    with pytest.raises(Refusal, match="runs must be multiples of 15, not 40"):
        bench_compare([15, 40])
    with pytest.raises(Refusal, match="rounds must be 2 or more, got 1"):
        bench_compare([15], rounds=1)

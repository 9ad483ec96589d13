"""The bench of the table of runs counts every stage, and leaves nothing behind.

No test here asserts a time.
"""

import json

from benchmarks.listing import bench_list, markdown
from qtha_lab.experiment.run_directory import record


def test_every_stage_is_measured(monkeypatch):
    monkeypatch.setattr(record, "YOUNG_SECONDS", -1.0)
    figures = bench_list(count=40, rounds=1)
    assert json.loads(json.dumps(figures)) == figures
    assert list(figures["stages"]) == [
        "list",
        "rows",
        "filter",
        "sort by two",
        "group seeds",
        "a hundred rows as text",
        "list without the index",
    ]
    assert "| list |" in markdown(figures)

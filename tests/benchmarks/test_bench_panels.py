"""The bench of the panels moves what it says, in a real browser; no test here asserts a time."""

import json

import pytest

from benchmarks.panels import bench_panels, table


def test_the_table_holds_each_control_by_its_median_and_against_the_aim():
    entries = [{"name": "quick", "milliseconds": [30.0, 20.0, 40.0]}]
    entries += [{"name": "slow", "milliseconds": [500.0]}]
    assert table({"controls": entries})[1:] == [
        ("quick", "30", "20 to 40", "yes"),
        ("slow", "500", "500 to 500", "no"),
    ]


@pytest.mark.browser
@pytest.mark.slow
def test_a_slider_is_moved_and_its_figures_are_waited_for():
    names = []
    control = {"an angle": ("CircuitExplorer(n_qubits=2)", "angle")}
    measured = bench_panels(2, names.append, control)
    assert names == ["an angle"]
    (entry,) = measured["controls"]
    assert (entry["name"], len(entry["milliseconds"])) == ("an angle", 2)
    assert min(entry["milliseconds"]) > 0
    assert json.loads(json.dumps(measured)) == measured

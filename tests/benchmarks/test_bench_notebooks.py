"""The benches of waiting times in a real JupyterLab; no test here asserts a time."""

import json

import pytest

from benchmarks.notebooks import bench_opening, bench_panels, tables


def test_the_table_of_the_workbench_has_the_median_and_the_first_time_apart():
    figures = {"benchmark": "opening", "seconds": [1.0, 3.0, 2.5], "first": 9.0}
    (_, rows), (_, memory) = tables(figures | {"memory": {"kernel": 900e6, "browser": 1.4e9}})
    assert rows[1:] == [
        ("from Run to the form", "2.5", "1.0 to 3.0", "no"),
        ("the first time in a home folder", "9.0", "", ""),
    ]
    assert memory[1:] == [("kernel", "0.90", "yes"), ("browser", "1.40", "no")]


def test_the_table_of_the_panels_has_the_median_and_the_aim_of_each_control():
    controls = [{"name": "quick", "milliseconds": [30.0, 20.0, 40.0]}]
    controls += [{"name": "slow", "milliseconds": [500.0]}]
    ((_, rows),) = tables({"benchmark": "panels", "controls": controls})
    assert rows[1:] == [
        ("quick", "30", "20 to 40", "yes"),
        ("slow", "500", "500 to 500", "no"),
    ]


@pytest.mark.browser
@pytest.mark.slow
def test_the_form_appears_in_new_kernels():
    shown = []
    figures = bench_opening(1, lambda *at: shown.append(at))
    assert shown == [(0, 2), (1, 2)]
    assert len(figures["seconds"]) == 1
    assert min(figures["first"], *figures["seconds"], *figures["memory"].values()) > 0
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.browser
@pytest.mark.slow
def test_a_slider_moves_until_its_figures_are_drawn():
    shown = []
    control = {"an angle": ("CircuitExplorer(n_qubits=2)", "angle")}
    figures = bench_panels(2, control, lambda *at: shown.append(at))
    assert shown == [(0, 1, "an angle")]
    (entry,) = figures["controls"]
    assert (entry["name"], len(entry["milliseconds"])) == ("an angle", 2)
    assert min(entry["milliseconds"]) > 0
    assert json.loads(json.dumps(figures)) == figures

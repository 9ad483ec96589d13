"""Registered measurements: each can run, and the cheapest one is first."""

from qtha_lab.reproductions import REPRODUCTIONS
from tools import registered


def test_registered_measurements_are_listed_with_their_hours_the_cheapest_first():
    every = registered.registered()
    names = {of.name for of in every}
    assert {"parts-smollm2-qa", "rates-long", "ttn_vqc"} <= names
    assert [of.hours for of in every] == sorted(of.hours for of in every)
    assert next(of for of in every if of.name == "confirm-shared").is_done


def test_the_forecast_counts_trials_and_runs():
    # 10 methods, each 3 rates × 3 scales × 3 trial seeds, then 5 seeds; 100 steps of 0.22 s
    [fair] = [of for of in registered.registered() if of.name == "fair-lora"]
    assert fair.runs == "320 runs"
    assert round(fair.hours, 6) == round(320 * 100 * 0.22 / 3600, 6)


def test_registered_reproductions_exist_and_fill_an_interval():
    for of in registered.registered():
        if of.command.startswith("qtha-lab reproduce"):
            assert REPRODUCTIONS[of.name.partition("(")[0]].claims
            assert int(of.command.split()[-1]) >= 5

"""Differences at shared rates against arithmetic by hand, and their place among the figures."""

import math

import pytest

from qtha_lab.figures.difference_by_rate import difference_by_rate
from qtha_lab.studies.comparison.claims import shared_rates

PAIR = ("qtha", "lora")


def entry(method, rate, seed, loss, state="finished"):
    found = {"method": method, "options": {}, "label": method, "seed": seed, "state": state}
    return found | {"learning_rate": rate, "test_loss": loss, "eval_loss": loss}


def entries(gaps):
    """Two methods that differ by these gaps at each rate, one per seed."""
    return [
        one
        for rate, of in gaps.items()
        for seed, gap in enumerate(of)
        for one in (entry("lora", rate, seed, 4.0), entry("qtha", rate, seed, 4.0 + gap))
    ]


def test_each_shared_rate_has_its_own_mean_and_interval():
    found = list(shared_rates(entries({0.01: (0.1, 0.2, 0.3), 0.001: (-0.3,) * 3}), [PAIR], {}))
    assert [(of.rate, round(of.difference.mean, 12)) for of in found] == [
        (0.001, -0.3),
        (0.01, 0.2),
    ]
    # t of 2 degrees of freedom is 4.3027; the standard error is 0.1 / √3
    half = 4.3027 * 0.1 / math.sqrt(3)
    assert found[1].difference.high == pytest.approx(0.2 + half, abs=1e-4)
    assert [of.difference.verdict for of in found] == ["shown", "inconclusive"]


def test_a_rate_with_two_seeds_or_a_diverged_run_has_no_difference():
    runs = entries({0.01: (0.1, 0.2), 0.1: (0.1, 0.2, 0.3), 1.0: (0.0, 0.0, 0.0)})
    runs.append(entry("qtha", 1.0, 3, None, "diverged"))
    assert [of.rate for of in shared_rates(runs, [PAIR], {})] == [0.1]


def rate_row(label, rate, mean, verdict, place=""):
    ends = {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}
    return {"label": label, "learning_rate": rate, "verdict": verdict, "seeds": 3, **ends} | (
        {"place": place} if place else {}
    )


def test_each_place_has_a_panel_and_each_pair_one_name_in_the_legend():
    figure = difference_by_rate(
        [rate_row("a − b", rate, 0.2, "shown", place) for rate in (0.1, 0.01) for place in "xy"]
    )
    drawn = figure.plotly
    assert drawn.layout.xaxis.title.text == "learning rate, x"
    assert drawn.layout.xaxis2.title.text == "learning rate, y"
    assert [trace.name for trace in drawn.data if trace.showlegend] == ["a − b"]
    assert [row[2] for row in figure.table.rows] == [0.01, 0.1, 0.01, 0.1]


def test_filled_symbols_lie_on_shown_differences_alone():
    rows = [rate_row("a", 0.01, 0.2, "shown"), rate_row("a", 0.1, 0.0, "inconclusive")]
    whole, filled = difference_by_rate(rows, reference="b").plotly.data
    assert list(whole.y) == [0.2, 0.0]
    assert list(filled.y) == [0.2]
    assert whole.marker.symbol == f"{filled.marker.symbol}-open"
    assert list(whole.error_y.array) == pytest.approx([0.1, 0.1])

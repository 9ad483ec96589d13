"""Simulated studies without a difference: against the level of the test, and chances in closed form."""

import math

import pytest
from support.refusals import refused

from qtha_lab.analysis.false_wins import LEVEL, RULES, STUDIES, Freedoms, false_wins

MANY = 20_000


def error(share, studies=STUDIES):
    return math.sqrt(share * (1 - share) / studies)


@pytest.mark.parametrize("seeds", [3, 5, 20])
def test_a_plan_kept_to_the_letter_wins_as_often_as_its_interval_allows(seeds):
    wins = false_wins(Freedoms(seeds=seeds), studies=MANY)
    assert wins["as planned"] == pytest.approx(LEVEL, abs=4 * error(LEVEL, MANY))
    assert len(set(wins.values())) == 1, "no freedom was added"


def test_a_lower_mean_alone_is_a_coin_toss():
    wins = false_wins(Freedoms(rule=RULES[1]), studies=MANY)
    assert wins["as planned"] == pytest.approx(0.5, abs=4 * error(0.5, MANY))


def test_the_better_of_two_half_alike_means_is_lower_in_two_thirds():
    """P(min < 0) = 1 − P(both > 0) = 1 − (1/4 + asin ρ / 2π) = 2/3 for ρ = 1/2."""
    wins = false_wins(Freedoms(rates=2, rule=RULES[1]), studies=MANY)
    assert wins["+ rates"] == pytest.approx(2 / 3, abs=4 * error(2 / 3, MANY))


def test_every_freedom_adds_false_wins():
    wins = false_wins(Freedoms(seeds=10, rates=4, measures=3, subsets=3, stops=True))
    shares = list(wins.values())
    assert shares == sorted(shares)
    assert shares[0] < 0.04 < 0.3 < shares[-1]


def test_stopping_at_the_first_win_adds_looks_and_more_seeds_add_more():
    few, many = (
        false_wins(Freedoms(seeds=seeds, stops=True), studies=MANY)["+ stopping"]
        for seeds in (4, 20)
    )
    assert 1.3 * LEVEL < few < many


@pytest.mark.parametrize(
    ("options", "setting", "value"),
    [
        ({"seeds": 2}, "seeds", "2"),
        ({"rates": 0}, "rates", "0"),
        ({"rule": "luck"}, "rule", "'luck'"),
    ],
)
def test_freedoms_out_of_range_are_refused(options, setting, value):
    with refused(setting, value):
        Freedoms(**options)

"""Differences between methods: intervals that cover what they promise, and verdicts that say "not shown"."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from qtha_lab.compare.paired import (
    PairedDifference,
    holm,
    least_p,
    paired_difference,
    rounding_floor,
    sentence,
)
from qtha_lab.errors import Refusal


def sample(random, seeds, items, difference, of_seeds=0.02, of_items=0.1):
    """Two methods that share seeds and items: their difference varies over both."""
    gaps = difference + random.normal(0, of_seeds, (seeds, 1)) + random.normal(0, of_items, items)
    base = random.normal(4, 0.5, (seeds, items))
    return base + gaps + random.normal(0, 0.05, (seeds, items)), base


@pytest.mark.parametrize(("seeds", "items"), [(5, 60), (10, 30), (4, 1)])
def test_the_interval_covers_the_true_difference_as_often_as_it_says(seeds, items):
    random = np.random.default_rng(seeds)
    covered = [
        found.low <= 0.3 <= found.high
        for found in (
            paired_difference(
                *sample(random, seeds, items, 0.3, of_items=0.1 * (items > 1)), resamples=499
            )
            for _ in range(300)
        )
    ]
    # 300 draws of a 95 % interval: below 0.91 comes once in a thousand times
    assert np.mean(covered) >= stats.binom.ppf(0.001, 300, 0.95) / 300


def test_without_a_difference_the_test_seldom_finds_one():
    random = np.random.default_rng(0)
    p = [
        paired_difference(*sample(random, 8, 20, 0.0, of_items=0.0), resamples=99).p
        for _ in range(200)
    ]
    assert np.mean(np.array(p) <= 0.05) <= stats.binom.ppf(0.999, 200, 0.05) / 200


def test_p_counts_the_sign_flips_that_are_as_large():
    means = np.array([0.1, 0.2, -0.05, 0.3])
    flips = [np.mean(means * signs) for signs in itertools.product([1, -1], repeat=4)]
    as_large = np.mean([abs(flip) >= abs(means.mean()) - 1e-12 for flip in flips])
    assert paired_difference(means, np.zeros(4)).p == pytest.approx(as_large)


def test_few_seeds_cannot_give_a_small_p_and_it_is_said_how_small():
    difference = paired_difference(np.array([1.0, 1.1, 0.9]), np.zeros(3))
    assert difference.p == least_p(3) == 0.25
    assert "so few seeds give none below 0.25), " in sentence("qtha", "lora", difference)
    (adjusted, _) = holm([difference, difference])
    assert adjusted.p == least_p(3, claims=2) == 0.5


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_orders_as_before_and_never_lowers_a_p(values):
    differences = [PairedDifference(1, 0, 2, p, 5, 1, 1.0) for p in values]
    adjusted = [d.p for d in holm(differences)]
    assert all(after >= before for before, after in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == min(1.0, len(values) * min(values))


def test_holm_is_that_of_a_worked_example():
    # 0.01·4, 0.02·3, 0.03·2 and 0.04·1, each at least the one before
    differences = [PairedDifference(1, 0, 2, p, 5, 1, 1.0) for p in (0.04, 0.01, 0.03, 0.02)]
    assert [d.p for d in holm(differences)] == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_what_is_detectable_is_found_four_times_in_five():
    random = np.random.default_rng(3)
    seeds, spread = 6, 0.1
    true = PairedDifference(0, 0, 0, 1, seeds, 1, spread).detectable
    found = [
        stats.ttest_1samp(random.normal(true, spread, seeds), 0).pvalue < 0.05 for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    assert PairedDifference(0, 0, 0, 1, seeds, 1, spread).seeds_for(true) == seeds


def test_more_seeds_are_needed_for_smaller_differences():
    found = PairedDifference(0, 0, 0, 1, 5, 1, spread=0.05)
    assert found.seeds_for(0.1) < found.seeds_for(0.05) < found.seeds_for(0.02)
    assert found.seeds_for(1e-6) is None


def test_rounding_alone_is_no_difference():
    repeats = np.array([4.10, 4.12, 4.09, 4.11, 4.13])
    floor = rounding_floor(repeats, seeds=5)
    assert floor == pytest.approx(stats.t.ppf(0.975, 4) * repeats.std(ddof=1) * math.sqrt(2 / 5))
    ahead = np.full(5, 4.10) + np.array([0.0, 0.001, 0.002, 0.001, 0.0])
    found = paired_difference(ahead, np.full(5, 4.08), floor=floor)
    assert not found.is_shown
    assert "rounding alone makes" in sentence("qtha", "lora", found)


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        (np.zeros(2), np.zeros(2), "at least 3 seeds, not 2"),
        (np.zeros(4), np.zeros(5), "same seeds and items"),
        (np.array([1, 2, np.inf]), np.zeros(3), "a run diverged"),
    ],
)
def test_pairs_that_are_none_are_refused(first, second, rule):
    with pytest.raises(Refusal, match=rule):
        paired_difference(first, second)


def test_a_floor_of_too_few_repeats_is_refused():
    with pytest.raises(Refusal, match="at least 5 repeats, not 3"):
        rounding_floor(np.zeros(3), seeds=3)

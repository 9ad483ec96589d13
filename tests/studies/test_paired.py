"""Differences between methods.

Intervals that cover what they promise, their p, and what they could detect.
"""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.multitest import multipletests

from qtha_lab.core.errors import Refusal
from qtha_lab.studies.comparison.paired import (
    PairedDifference,
    errors,
    half_width,
    paired_difference,
    verdict_sentence,
    verdict_text,
)


def table(random, seeds, items, difference=0.0, of_seeds=0.02, of_items=0.1, rest=0.05):
    """Differences of two methods over seeds and rows, with the standard deviation of each part."""
    return (
        difference
        + random.normal(0, of_seeds, (seeds, 1))
        + random.normal(0, of_items, items)
        + random.normal(0, rest, (seeds, items))
    )


def found(gaps, **options):
    """The difference of a method to one that ends at zero."""
    return paired_difference(gaps, np.zeros_like(gaps), **options)


def test_the_interval_is_that_of_a_worked_example():
    # two rows of three seeds: means of seeds 1, 2, 3 and of rows 1, 3; no rest. MS_seeds = 2 · 1 =
    # 2,
    # MS_rows = 3 · 2 = 6, so half² = 4.303² · 2 / 6 + 12.706² · 6 / 6
    difference = found(np.array([[0.0, 2.0], [1.0, 3.0], [2.0, 4.0]]))
    assert difference.mean == 2
    assert difference.high - 2 == pytest.approx(math.sqrt(4.3027**2 / 3 + 12.7062**2), rel=1e-4)
    assert (difference.seed_error, difference.row_error) == pytest.approx((math.sqrt(1 / 3), 1))


@pytest.mark.parametrize(("seeds", "items", "claims"), [(3, 8, 1), (5, 20, 7), (6, 3, 14)])
def test_the_interval_has_the_mean_squares_of_a_two_way_analysis_of_variance(seeds, items, claims):
    gaps = table(np.random.default_rng(items), seeds, items, 0.03)
    cells = pd.DataFrame(
        [(s, i, gaps[s, i]) for s in range(seeds) for i in range(items)], columns=["s", "i", "gap"]
    )
    squares = anova_lm(ols("gap ~ C(s) + C(i)", cells).fit())["mean_sq"]
    of_rows = max(squares["C(i)"] - squares["Residual"], 0)
    a, b = (stats.t.ppf(1 - 0.05 / claims / 2, count - 1) for count in (seeds, items))
    half = math.sqrt((a**2 * squares["C(s)"] + b**2 * of_rows) / (seeds * items))
    difference = found(gaps, claims=claims)
    assert (difference.low, difference.high) == pytest.approx(
        (gaps.mean() - half, gaps.mean() + half)
    )


def test_rows_that_vary_less_than_the_rest_add_nothing():
    # each seed has its one odd row, so rows are alike in the mean: MS_rows = 0 < MS_rest
    gaps = 0.1 + np.eye(4) - 0.25
    difference = found(gaps + 0.01 * np.arange(4)[:, None])
    assert difference.row_error == 0
    assert difference.high - difference.mean == pytest.approx(
        stats.t.ppf(0.975, 3) * 0.01 * np.std(range(4), ddof=1) / 2
    )


def test_means_of_seeds_alone_have_the_interval_and_the_p_of_a_t_test():
    gaps = np.array([0.1, 0.3, -0.05, 0.2])
    difference, test = found(gaps), stats.ttest_1samp(gaps, 0)
    assert difference.p == pytest.approx(test.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(test.confidence_interval()))


@pytest.mark.parametrize(("seeds", "items"), [(3, 60), (5, 60), (10, 30), (4, 1)])
def test_the_interval_covers_the_true_difference_as_often_as_it_promises(seeds, items):
    random, draws = np.random.default_rng(seeds), 2000
    gaps = np.stack(
        [table(random, seeds, items, 0.3, of_items=0.1 * (items > 1)) for _ in range(draws)]
    )
    mean, *parts = errors(gaps)
    covered = np.abs(mean - 0.3) <= half_width(*parts, seeds, items, 0.05)
    # neither more often than 99 of 100, as the earlier interval, nor less than 93, give or take
    # what 2,000 draws vary by
    assert stats.binom.ppf(0.001, draws, 0.93) <= covered.sum()
    assert covered.sum() <= stats.binom.ppf(0.999, draws, 0.99)


@given(
    st.integers(3, 12),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.floats(-0.3, 0.3),
    st.integers(1, 14),
)
def test_p_is_below_five_in_a_hundred_where_the_interval_excludes_zero_and_there_alone(
    seeds, items, seed, mean, claims
):
    gaps = table(np.random.default_rng(seed), seeds, items, mean)
    difference = found(gaps, claims=claims)
    assert (difference.p < 0.05) is difference.is_shown
    if 0 < difference.p < 1:  # the interval of this level touches zero
        half = half_width(
            difference.seed_error, difference.row_error, seeds, items, difference.p / claims
        )
        assert half == pytest.approx(abs(difference.mean))


def test_p_of_a_family_is_bonferronis():
    gaps = table(np.random.default_rng(0), 5, 20, 0.02)
    alone = found(gaps).p
    for claims in (2, 3, 14):
        _, theirs, *_ = multipletests([alone] * claims, method="bonferroni")
        assert found(gaps, claims=claims).p == pytest.approx(theirs[0])
        assert f"p = {theirs[0]:.2g} among {claims} claims, " in verdict_sentence(
            "a", "b", found(gaps, claims=claims)
        )


def test_p_of_a_difference_without_any_spread_is_zero_and_of_none_one():
    assert found(np.ones((5, 4))).p == 0
    assert found(np.zeros((5, 4))).p == 1
    assert found(np.ones(3)).is_shown
    assert not found(np.zeros(3)).is_shown


def test_two_methods_with_right_and_wrong_answers_have_an_interval():
    # 0 or 1 for each row: method one has two rows more right in each of four seeds
    first, second = (
        np.tile([1, 1, 1, 0, 1, 0, 0, 1], (4, 1)),
        np.tile([1, 0, 1, 0, 0, 0, 0, 1], (4, 1)),
    )
    difference = paired_difference(first, second)
    assert difference.mean == pytest.approx(2 / 8)
    # no seed differs, so what is left is a t interval over eight rows, of which two differ by 1
    assert difference.high - difference.mean == pytest.approx(
        stats.t.ppf(0.975, 7) * np.std([1, 1, 0, 0, 0, 0, 0, 0], ddof=1) / math.sqrt(8)
    )


def interval(seeds, seed_error, mean=0.0, row_error=0.0, items=1):
    """A difference with that standard error."""
    half = half_width(seed_error, row_error, seeds, items, 0.05)
    numbers = mean, mean - half, mean + half, 1.0
    return PairedDifference(*numbers, seeds, items, spread=0.1, row_error=row_error)


def test_the_detectable_difference_of_means_is_shown_four_times_in_five():
    random = np.random.default_rng(3)
    seeds, spread = 6, 0.1
    of_seeds = interval(seeds, spread / math.sqrt(seeds))
    true = of_seeds.detectable
    draws = random.normal(true, spread, (2000, seeds))
    shown = stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("seeds", [5, 10])
def test_the_detectable_difference_is_shown_four_times_in_five_where_rows_vary_too(seeds):
    random, items, of_seeds, of_items, rest = np.random.default_rng(seeds), 40, 0.02, 0.1, 0.05
    by_seeds = math.sqrt((of_seeds**2 + rest**2 / items) / seeds)
    expected = interval(seeds, by_seeds, row_error=of_items / math.sqrt(items), items=items)
    true = expected.detectable
    gaps = np.stack([table(random, seeds, items, true) for _ in range(2000)])
    mean, *parts = errors(gaps)
    shown = np.abs(mean) > half_width(*parts, seeds, items, 0.05)
    assert np.mean(shown) == pytest.approx(0.8, abs=0.06)


@given(
    st.integers(3, 12),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.tuples(*[st.floats(0, 0.3) for _ in range(3)]),
    st.floats(-0.3, 0.3),
    st.integers(1, 14),
)
def test_an_inconclusive_difference_is_below_the_detectable_one_and_needs_more_seeds(
    seeds, items, seed, parts, mean, claims
):
    difference = found(
        table(np.random.default_rng(seed), seeds, items, mean, *parts), claims=claims
    )
    if difference.is_shown or not difference.mean:
        return
    assert difference.detectable > abs(difference.mean)
    if difference.verdict == "inconclusive":
        needed = difference.seeds_to_decide
        assert needed is None or needed > seeds


def spread_by(mean, half, seeds=5):
    """A difference of that mean whose 95 % interval has that half-width, over means of seeds."""
    error = half / stats.t.ppf(0.975, seeds - 1)
    return interval(seeds, error, mean)


@pytest.mark.parametrize(
    ("mean", "half", "verdict"),
    [
        (0.05, 0.01, "shown"),
        (0.012, 0.004, "shown"),
        (0.0, 0.01, "equivalent"),
        (-0.008, 0.012, "equivalent"),
        (0.0, 0.05, "inconclusive"),
        (0.03, 0.04, "inconclusive"),
    ],
)
def test_a_difference_has_one_of_three_verdicts(mean, half, verdict):
    assert spread_by(mean, half).verdict == verdict


@given(st.floats(-0.05, 0.05), st.floats(0.001, 0.06), st.integers(3, 12))
def test_equivalence_is_two_one_sided_t_tests(mean, half, seeds):
    difference = spread_by(mean, half, seeds)
    error = half / stats.t.ppf(0.975, seeds - 1)
    p = max(
        stats.t.sf((mean + 0.02) / error, seeds - 1), stats.t.cdf((mean - 0.02) / error, seeds - 1)
    )
    if abs(p - 0.05) > 1e-6:
        assert difference.is_within_margin is bool(p < 0.05)


def test_a_shown_difference_within_the_margin_says_so():
    assert verdict_text(spread_by(0.012, 0.004)) == "shown, within ±0.02"
    assert verdict_text(spread_by(0.12, 0.004)) == "shown"
    assert verdict_text(spread_by(0.0, 0.004)) == "equivalent within ±0.02"


def test_an_inconclusive_difference_states_the_seeds_that_would_decide():
    difference = spread_by(0.03, 0.04)
    seeds = difference.seeds_to_decide
    assert seeds > difference.seeds
    assert (
        verdict_text(difference)
        == f"inconclusive (detectable difference {difference.detectable:.3f}; {seeds} seeds would"
        " decide)"
    )


def test_the_seeds_that_decide_show_the_difference_four_times_in_five():
    random, spread = np.random.default_rng(1), 0.05
    difference = interval(4, spread / 2, mean=0.04)
    seeds = difference.seeds_to_decide
    draws = random.normal(0.04, spread, (2000, seeds))
    shown = np.mean(stats.ttest_1samp(draws, 0, axis=1).pvalue < 0.05)
    fewer = np.mean(stats.ttest_1samp(draws[:, : seeds - 4], 0, axis=1).pvalue < 0.05)
    assert fewer < 0.8 <= shown + 0.06


def test_the_seeds_that_decide_show_equivalence_four_times_in_five():
    random, spread = np.random.default_rng(2), 0.03
    difference = interval(4, spread / 2, mean=0.0)
    seeds = difference.seeds_to_decide
    draws = random.normal(0.0, spread, (2000, seeds))
    errors_of = stats.sem(draws, axis=1) * stats.t.ppf(0.95, seeds - 1)
    assert np.mean(np.abs(draws.mean(1)) + errors_of <= 0.02) == pytest.approx(0.8, abs=0.06)


def test_rows_decide_where_no_number_of_seeds_does():
    rows = np.linspace(-1, 1, 9)
    gaps = 0.1 + np.tile(rows, (4, 1)) + 0.01 * np.array([[1], [-1], [2], [-2]])
    difference = found(gaps)
    assert difference.seeds_to_decide is None
    needed = difference.rows_to_decide
    assert needed > 9
    assert f"{needed:,} test rows would decide, no number of seeds" in verdict_text(difference)


@pytest.mark.parametrize(
    ("first", "second", "rule"),
    [
        (np.zeros(1), np.zeros(1), "at least 3, got 1"),
        (np.zeros(2), np.zeros(2), "at least 3, got 2"),
        (np.zeros(4), np.zeros(5), "same seeds and rows"),
        (np.zeros((4, 6)), np.zeros((4, 5)), "same seeds and rows"),
        (np.array([1, 2, np.inf]), np.zeros(3), "A run diverged"),
    ],
)
def test_pairs_that_are_none_are_refused(first, second, rule):
    with pytest.raises(Refusal, match=rule):
        paired_difference(first, second)

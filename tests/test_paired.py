"""Differences between methods: intervals that cover what they promise, and verdicts that say "not shown"."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

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
    assert "so few seeds give none below 0.5 among 2 claims), " in sentence("a", "b", adjusted)


@pytest.mark.parametrize("seeds", [5, 13, 14, 20])
def test_the_least_p_is_that_of_a_difference_without_any_spread(seeds):
    # beyond 13 seeds not all flips are made
    assert paired_difference(np.ones(seeds), np.zeros(seeds)).p == pytest.approx(least_p(seeds))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_orders_as_before_and_never_lowers_a_p(values):
    differences = [PairedDifference(1, 0, 2, p, 5, 1, 1.0) for p in values]
    adjusted = [d.p for d in holm(differences)]
    assert all(after >= before for before, after in zip(values, adjusted, strict=True))
    order = np.argsort(values, kind="stable")
    assert np.all(np.diff(np.array(adjusted)[order]) >= 0)
    assert min(adjusted) == min(1.0, len(values) * min(values))
    _, theirs, *_ = multipletests(values, method="holm")
    assert adjusted == pytest.approx(list(theirs))


def test_holm_is_that_of_a_worked_example():
    # 0.01·4, 0.02·3, 0.03·2 and 0.04·1, each at least the one before
    differences = [PairedDifference(1, 0, 2, p, 5, 1, 1.0) for p in (0.04, 0.01, 0.03, 0.02)]
    assert [d.p for d in holm(differences)] == pytest.approx([0.06, 0.04, 0.06, 0.06])


def interval(seeds, error, mean=0.0, row_error=0.0, level=0.05):
    """A difference with an interval of that standard error."""
    half = stats.t.ppf(1 - level / 2, seeds - 1) * error
    numbers = mean, mean - half, mean + half, 1.0
    return PairedDifference(*numbers, seeds, items=1, spread=0.1, level=level, row_error=row_error)


def test_what_is_detectable_is_found_four_times_in_five():
    random = np.random.default_rng(3)
    seeds, spread = 6, 0.1
    of_seeds = interval(seeds, spread / math.sqrt(seeds))
    true = of_seeds.detectable
    found = [
        stats.ttest_1samp(random.normal(true, spread, seeds), 0).pvalue < 0.05 for _ in range(2000)
    ]
    assert np.mean(found) == pytest.approx(0.8, abs=0.06)
    assert of_seeds.seeds_for(true) == seeds


@pytest.mark.parametrize("seeds", [5, 10])
def test_what_is_detectable_is_shown_four_times_in_five_where_rows_are_a_sample_too(seeds):
    random, items, of_seeds, of_items, rest = np.random.default_rng(seeds), 40, 0.02, 0.1, 0.05
    # what the bootstrap of a table makes of its parts: twice the rest's own, since both of its margins have it too
    rows, others = of_items**2 / items, of_seeds**2 + 3 * rest**2 / items
    widened = rows / (1 - 1 / seeds) + others / seeds
    drawn = interval(seeds, math.sqrt(widened), row_error=math.sqrt(rows))

    def shown(difference):
        pair = sample(random, seeds, items, difference, of_seeds, of_items)
        return paired_difference(*pair, resamples=199).is_shown

    # the bootstrap's error is a little above the true one, so four times in five is what it is at least: 0.84, give or
    # take three times 0.018 of 400 draws
    assert 0.78 < np.mean([shown(drawn.detectable) for _ in range(400)]) < 0.9
    assert drawn.seeds_for(drawn.detectable) == seeds


tables = st.tuples(st.integers(3, 12), st.integers(1, 30)).flatmap(
    lambda shape: st.tuples(
        st.just(shape), st.integers(0, 2**32 - 1), *[st.floats(0, 0.3) for _ in range(3)]
    )
)


@given(tables, st.floats(-0.3, 0.3), st.integers(1, 14))
def test_what_is_not_shown_is_too_small_for_these_seeds_and_needs_more(table, mean, claims):
    (seeds, items), seed, *sizes = table
    random = np.random.default_rng(seed)
    of_seeds, of_items, rest = (
        size * random.standard_normal(shape)
        for size, shape in zip(sizes, [(seeds, 1), (1, items), (seeds, items)], strict=True)
    )
    gaps = mean + of_seeds + of_items + rest
    found = paired_difference(gaps, np.zeros_like(gaps), level=0.05 / claims, resamples=99)
    if found.is_shown or not found.mean:
        return
    assert found.detectable > abs(found.mean)
    needed = found.seeds_for(found.mean)
    assert needed is None or needed > seeds
    if found.needs_rows(found.mean):
        assert needed is None
        assert ": no number of seeds is enough)" in sentence("qtha", "lora", found)


def test_rows_that_vary_bound_what_any_number_of_seeds_would_show():
    rows = np.linspace(-1, 1, 9)
    gaps = 0.1 + np.tile(rows, (4, 1)) + 0.01 * np.array([[1], [-1], [2], [-2]])
    found = paired_difference(gaps, np.zeros_like(gaps))
    # no seed differs by row, so what is left with endless seeds is the spread of the rows alone
    assert found.row_error == pytest.approx(rows.std() / 3)
    assert found.needs_rows(found.mean)
    assert found.seeds_for(found.mean) is None
    assert "+0.100 itself needs more test rows" in sentence("qtha", "lora", found)
    alike = paired_difference(gaps - rows, np.zeros_like(gaps))
    assert alike.row_error == pytest.approx(0)
    assert alike.is_shown
    assert not alike.needs_rows(alike.mean)


def test_two_methods_that_end_alike_need_no_seeds():
    alike = paired_difference(np.ones(4), np.ones(4))
    assert not alike.is_shown
    assert alike.seeds_for(0.0) is None
    assert sentence("qtha", "lora", alike).endswith("would have been found four times in five).")


def test_more_seeds_are_needed_for_smaller_differences():
    found = interval(5, error=0.02)
    assert found.seeds_for(0.1) < found.seeds_for(0.05) < found.seeds_for(0.02)
    assert found.seeds_for(1e-6) is None
    assert "itself needs more than 10,000 seeds" in sentence("a", "b", interval(5, 0.02, 1e-6))


def test_rounding_alone_is_no_difference():
    repeats = np.array([4.10, 4.12, 4.09, 4.11, 4.13])
    floor = rounding_floor(repeats, seeds=5)
    assert floor == pytest.approx(stats.t.ppf(0.975, 4) * repeats.std(ddof=1) * math.sqrt(2 / 5))
    ahead = np.full(5, 4.10) + np.array([0.0, 0.001, 0.002, 0.001, 0.0])
    found = paired_difference(ahead, np.full(5, 4.08), floor=floor)
    assert not found.is_shown
    assert "rounding alone makes" in sentence("qtha", "lora", found)


def test_a_floor_that_was_not_measured_is_said_and_one_of_nothing_is_one():
    ahead, behind = np.full(5, 4.10) + np.arange(5) / 1000, np.full(5, 4.0)
    unknown = sentence("qtha", "lora", paired_difference(ahead, behind))
    assert unknown.endswith(": shown (rounding not measured).")
    none = sentence("qtha", "lora", paired_difference(ahead, behind, floor=0.0))
    assert none.endswith(": shown (rounding alone makes less than 0.001).")
    some = sentence("qtha", "lora", paired_difference(ahead, behind, floor=0.02))
    assert some.endswith(": shown (rounding alone makes ±0.020).")


def test_what_is_not_shown_has_its_floor_beside_it_too():
    first, second = np.array([4.0, 4.2, 4.1]), np.array([4.1, 4.1, 4.1])
    found = paired_difference(first, second, floor=0.004)
    assert "not shown (rounding alone makes ±0.004; a difference of" in sentence("a", "b", found)


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

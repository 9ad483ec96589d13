"""Intervals of comparisons have their stated error on variances and residuals of recorded runs."""

import numpy as np
import pytest
from scipy import stats

from benchmarks.reporting import markdown
from qtha_lab.studies.comparison.paired import errors
from tools import coverage

DRAWS = 500


@pytest.fixture(scope="module")
def measured():
    return coverage.bench_coverage(seeds=(3, 5, 20), draws=DRAWS, names=("confirm-qa",))


def least(share, draws):
    return stats.binom.ppf(1e-4, draws, share) / draws


def most(share, draws):
    return stats.binom.ppf(1 - 1e-4, draws, share) / draws


def test_without_an_effect_a_claim_errs_in_one_to_seven_and_a_family_in_five_percent(measured):
    assert [case["seeds"] for case in measured["cases"]] == [3, 3, 5, 5, 20, 20]
    for case in measured["cases"]:
        assert case["claim_least"] >= least(0.01, DRAWS)
        assert case["claim_most"] <= most(0.07, DRAWS)
        assert case["family"] <= most(0.05, DRAWS)


def test_an_effect_of_a_twentieth_nat_is_shown_more_often_than_not(measured):
    # ten claims of the same variances: the slack is that of one of them
    assert measured["power"] >= least(0.5, DRAWS)


def test_drawn_mean_squares_have_the_law_of_those_of_tables():
    of, (seeds, rows), random = (
        coverage.Variances(0.01, 0.04, 0.09),
        (4, 12),
        np.random.default_rng(1),
    )
    drawn = coverage.normal(of, seeds, rows, 4000, random, effect=0.2)
    tables = (
        0.2
        + random.normal(0, 0.1, (4000, seeds, 1))
        + random.normal(0, 0.2, (4000, 1, rows))
        + random.normal(0, 0.3, (4000, seeds, rows))
    )
    mean, seed_error, row_error = errors(tables)
    assert stats.ks_2samp(drawn.mean, mean).pvalue > 1e-4
    assert stats.ks_2samp(np.sqrt(drawn.seeds / (seeds * rows)), seed_error).pvalue > 1e-4
    of_rows = np.sqrt(np.maximum(drawn.rows - drawn.rest, 0) / (seeds * rows))
    assert stats.ks_2samp(of_rows, row_error).pvalue > 1e-4


def test_variances_are_those_that_a_table_was_drawn_with():
    random, truth = np.random.default_rng(2), (0.01, 0.04, 0.09)
    tables = [
        random.normal(0, 0.1, (8, 1)) + random.normal(0, 0.2, 40) + random.normal(0, 0.3, (8, 40))
        for _ in range(300)
    ]
    estimates = np.array([coverage.variances(table) for table in tables])
    errors_of_means = estimates.std(0) / np.sqrt(len(tables))
    assert np.all(np.abs(estimates.mean(0) - truth) < 4 * errors_of_means + 0.001)


def test_resampled_tables_have_no_effect_and_the_variances_of_the_recorded_ones():
    random = np.random.default_rng(3)
    recorded = [
        random.normal(0, 0.1, (5, 1)) + random.normal(0, 0.2, 50) + random.normal(0.1, 0.3, (5, 50))
        for _ in range(2)
    ]
    tables = np.concatenate(list(coverage.resampled(recorded, 6, 30, 2000, random)))
    assert tables.shape == (2000, 2, 6, 30)
    assert np.abs(tables.mean((0, 2, 3))).max() < 4 * np.sqrt(
        tables.mean((2, 3)).var(0).max() / 2000
    )
    for n, gaps in enumerate(recorded):
        estimates = np.array([coverage.variances(table) for table in tables[:, n]]).mean(0)
        assert estimates == pytest.approx(coverage.variances(gaps), rel=0.15, abs=0.0005)


def test_the_tables_have_a_row_for_each_number_of_seeds_and_state_the_power(measured):
    page = markdown(coverage.tables(measured))
    assert page.count("\n| normal | ") == page.count("\n| recorded | ") == 3
    assert (
        "A true difference of 0.05 nat is shown by 5 seeds on 112 rows among 7 claims in " in page
    )
    assert "| confirm-qa | 10 | 20 | 112 |" in page

"""Claims pooled over models and tasks, against statsmodels' random effects."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from qtha_lab.studies.comparison.pooled import pool, pool_by_method


def records(means, errors):
    return [
        {"mean": m, "seed_error": e, "row_error": 0.0} for m, e in zip(means, errors, strict=True)
    ]


@pytest.mark.parametrize("seed", range(12))
def test_mean_and_heterogeneity_are_those_of_dersimonian_and_laird(seed):
    random = np.random.default_rng(seed)
    count = random.integers(2, 10)
    means, errors = random.normal(0, 0.03, count), random.uniform(0.002, 0.05, count)
    pooled = pool("a", "b", records(means, errors))
    with np.errstate(invalid="ignore"):
        theirs = combine_effects(means, errors**2, method_re="dl")
    assert pooled.heterogeneity == pytest.approx(max(theirs.i2, 0), abs=1e-9)
    if theirs.tau2 <= 0:  # statsmodels does not truncate a negative variance between studies
        assert pooled.spread == 0
        assert pooled.mean == pytest.approx(theirs.mean_effect_fe)
        return
    assert pooled.mean == pytest.approx(theirs.mean_effect_re)
    assert pooled.spread**2 == pytest.approx(theirs.tau2)
    if count < 4:
        assert (pooled.low, pooled.high, pooled.verdict) == (None, None, "inconclusive")
        return
    half = stats.t.ppf(0.975, len(means) - 1) * theirs.sd_eff_w_re_hksj
    assert pooled.high - pooled.mean >= half - 1e-9  # never narrower than Hartung and Knapp


def test_nine_small_differences_are_equivalent_and_two_are_not_enough():
    means, errors = [-0.002, 0.003, -0.004, 0.001, -0.006, 0.0, 0.002, -0.003, 0.001], [0.005] * 9
    pooled = pool("qtha", "no circuit", records(means, errors))
    assert pooled.verdict == "equivalent"
    assert pooled.sentence.startswith(
        "qtha − no circuit, pooled over 9 pairs of model and task: -0.001 nat, 95 % interval ["
    )
    assert pooled.sentence.endswith("I² = 0%: equivalent within ±0.02.")


@pytest.mark.parametrize("count", [2, 3])
def test_fewer_than_four_pairs_have_no_interval(count):
    # one or two degrees of freedom: [-0.23, +0.22] out of differences of ±0.002
    pooled = pool("a", "b", records([-0.002, 0.002, 0.0][:count], [0.01] * count))
    assert pooled.verdict == "inconclusive"
    assert (pooled.plain()["low"], pooled.plain()["high"]) == (None, None)
    assert "nat, no interval from fewer than 4 pairs, τ = 0.000" in pooled.sentence
    assert "%, interval" not in pooled.sentence


def test_methods_with_one_pair_are_not_pooled():
    (one, two, three) = records([0.1, 0.2, 0.15], [0.01] * 3)
    claims = {("qtha", "qa"): one, ("dora", "qa"): two, ("dora", "chat"): three}
    (pooled,) = pool_by_method(claims, "lora")
    assert (pooled.first, pooled.second, pooled.pairs) == ("dora", "lora", 2)
    assert pooled.mean == pytest.approx(0.175)

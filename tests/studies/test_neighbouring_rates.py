"""Robustness of claims: neighbouring rates, trial seeds, outlying seeds and Holm's order."""

import numpy as np
import pytest

from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.neighbouring_rates import (
    neighbouring_rates,
    robustness_sentences,
    trial_sentence,
)
from qtha_lab.studies.comparison.outcomes import outlying_seeds, outlying_sentences
from tools.coverage_worlds import WORLDS, world_errors, world_rows
from tools.verdicts import mark_by_holm

SEEDS = range(5)
NOISE = np.random.default_rng(0).normal(0, 0.01, (4, 5))


def runs(method, rate, evaluated, tested, noise=0):
    """Runs of five seeds at one rate, with their mean evaluation and test loss."""
    return [
        {
            "run_id": f"{method}{rate}{seed}", "label": method, "method": method, "options": {},
            "seed": seed, "state": "finished", "learning_rate": rate,
            "eval_loss": evaluated + NOISE[noise][seed], "test_loss": tested + seed / 1000,
        }
        for seed in SEEDS
    ]  # fmt: skip


def test_a_rate_that_the_evaluation_losses_cannot_tell_from_the_best_is_a_neighbour():
    entries = [*runs("lora", 0.01, 2.0, 2.0), *runs("lora", 0.03, 2.005, 2.0, noise=1)]
    entries += [*runs("qtha", 0.01, 2.0, 2.0), *runs("qtha", 0.03, 2.5, 2.0, noise=1)]
    assert neighbouring_rates(entries) == {"lora": 0.03}
    entries[5] |= {"state": "diverged", "eval_loss": None}
    assert neighbouring_rates(entries) == {}


@pytest.mark.parametrize(
    ("at_neighbour", "neighbour", "verdict"),
    [(1.9, "holds", "shown"), (2.0, "fails", "inconclusive")],
)
def test_a_difference_is_shown_only_if_it_is_at_the_neighbouring_rate(
    at_neighbour, neighbour, verdict
):
    entries = [*runs("lora", 0.01, 2.0, 2.0), *runs("lora", 0.03, 2.5, 2.2, noise=1)]
    entries += runs("qtha", 0.01, 1.9, 1.9, noise=2)
    entries += runs("qtha", 0.03, 1.901, at_neighbour, noise=3)
    (claim,) = against_the_first(entries)
    assert claim.difference.excludes_zero
    assert (claim.difference.neighbour, claim.difference.verdict) == (neighbour, verdict)
    (line,) = robustness_sentences([claim])
    assert line.startswith("qtha − lora at the neighbouring rate: ")
    assert "qtha at 0.03, as good within the noise of the choice: " in line
    assert claim.plain()["neighbours"][0]["rate"] == 0.03


def test_a_clear_choice_of_rates_is_no_question_and_one_rate_is_not_run():
    clear = [*runs("lora", 0.01, 2.0, 2.0), *runs("lora", 0.03, 2.5, 2.2, noise=1)]
    other = [*runs("qtha", 0.01, 1.9, 1.9), *runs("qtha", 0.03, 2.5, 2.2, noise=1)]
    (claim,) = against_the_first(clear + other)
    assert (claim.difference.neighbour, [*robustness_sentences([claim])]) == ("clear", [])
    (claim,) = against_the_first(clear + other[:5])
    assert (claim.difference.neighbour, claim.difference.verdict) == ("not run", "shown")
    (line,) = robustness_sentences([claim])
    assert line.startswith("Neighbouring rate not run")


def test_a_second_best_trial_is_named_where_its_seeds_cannot_tell_it_from_the_best():
    best, near, far = ([2.0, 2.1, 2.2], [2.1, 2.0, 2.3], [2.5, 2.6, 2.7 + 1e-3])

    def stated(*losses, seeds=3):
        of = {f"x={n}": dict(enumerate(each[:seeds])) for n, each in enumerate(losses)}
        return trial_sentence("lora", "x=0", of)

    # differences +0.1, -0.1, +0.1: mean 0.0333, deviation 0.1155; t(2, 97.5 %) = 4.303 times
    # 0.1155 / √3 is 0.2869
    assert stated(best, far, near) == (
        "lora at x=2 is as good as at x=0 within the noise of 3 trial seeds: +0.033 [-0.254, +0.320]."
    )
    assert stated(best, far) is None
    assert stated(best, near, seeds=2) is None
    assert stated(best) is None
    assert trial_sentence("lora", "x=9", {"x=0": {0: 2.0}}) is None


def test_three_trial_seeds_are_the_default_and_are_always_stated(tmp_path):
    tuned = Comparison(methods="lora,qtha", tuning={"axes": {"learning_rate": [0.01, 0.03]}})
    assert len(tuned.tuning.seeds) == 3
    place = ComparisonStudy(tmp_path)
    place.write(tuned)
    assert place.comparison.tuning.seeds == tuned.tuning.seeds
    text = place.description.read_text()
    assert "- 1002" in text
    # a folder of an earlier version states no seeds, and its trials had one
    place.description.write_text(text[: text.index("  seeds:")])
    assert place.comparison.tuning.seeds == [1000]


def test_an_outlying_seed_is_named():
    entries = runs("lora", 0.01, 2.0, 2.0)
    assert outlying_seeds(entries) == []
    entries[3] |= {"test_loss": 2.4}
    (found,) = outlying_seeds(entries)
    assert (found.name, found.seed, found.loss) == ("lora", 3, 2.4)
    assert outlying_sentences(entries)[0].startswith("lora has an outlying seed: 2.400 with seed 3")


def test_seeds_without_an_outlier_are_named_in_one_case_in_a_hundred():
    random = np.random.default_rng(0)
    drawn = [run for n in range(1500) for run in runs(f"m{n}", 0.01, 2.0, 2.0)]
    drawn = [run | {"test_loss": random.normal()} for run in drawn]
    without_options = [{n: v for n, v in run.items() if n != "options"} for run in drawn]
    assert 2 <= len(outlying_seeds(without_options)) <= 30  # 15 are expected


def test_holm_orders_the_claims_of_all_tables():
    # p of a table is multiplied by its claims: 0.02 / 2 = 0.01 and 0.002; limits 0.05 / 3, / 2, / 1
    tables = {"a": [{"p": 0.02, "claims": 2, "verdict": "shown"}],
              "b": [{"p": p, "claims": 1, "verdict": "shown"} for p in (0.002, 0.06)]}  # fmt: skip
    assert mark_by_holm(tables) == 2
    assert [c["by_holm"] for of in tables.values() for c in of] == [True, True, False]


def test_coverage_has_worlds_that_break_its_assumptions_and_names_the_numbers_that_err():
    cases = list(world_errors((5,), 600, np.random.default_rng(0)))
    assert len(cases) == len(WORLDS) == 8
    table = {row[0]: row[2] for row in world_rows(cases)[1:]}
    assert table["8 rows per key, taken as rows"] == "5 seeds"
    assert table["8 rows per key, averaged by key"] == "–"

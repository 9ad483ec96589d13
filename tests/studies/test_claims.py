"""A comparison's claims: paired by test item, at each method's best rate, part by part."""

import numpy as np
import pytest

from qtha_lab.experiment import Comparison, MethodChoice
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.table.frame import results_frame
from qtha_lab.studies.comparison import differences, notes, tuning
from qtha_lab.studies.comparison.claims import against_the_first, without_a_loss
from qtha_lab.studies.comparison.compared import Compared
from qtha_lab.studies.comparison.controls import PARTS, decompose
from qtha_lab.studies.comparison.explain import findings_of
from qtha_lab.studies.comparison.results_of_runs import summary_of
from qtha_lab.studies.comparison.row_losses import TestItems, losses_of, read_items
from qtha_lab.studies.comparison.tuning import noise_sentence, repeats_of

WHOLE = "qtha(r=4,waist=16,n_layers=1)"


def entry(method, seed, loss, rate=0.01, state="finished", test=None):
    choice = MethodChoice.parse(method)
    return {
        "run_id": f"{method} {rate} {seed}", "label": f"{method} at {rate}", "method": choice.name,
        "options": choice.options, "seed": seed, "state": state, "learning_rate": rate,
        "trainable_parameters": 10, "eval_loss": loss, "test_loss": loss if test is None else test,
    }  # fmt: skip


def items(*rows):
    return TestItems(tuple("abcdefgh"[: len(rows)]), np.array(rows, float))


def test_items_share_the_mean_as_their_labels_do():
    # 3 nats over 1 label and 1 nat over 3: the loss of all is 4 / 4, and each of two rows has half
    # of the mean
    test = TestItems.of({"items": ["a", "b"], "losses": [3.0, 1.0], "labels": [1, 3]})
    assert test.losses.mean() == pytest.approx(1.0)
    assert test.losses.tolist() == [1.5, 0.5]


def test_a_pair_is_paired_by_item_where_both_have_the_same_rows():
    runs = results_frame(entry("lora", seed, 1.0) for seed in range(3))
    known = {run_id: items(1, 2, 3) for run_id in runs["run_id"]}
    assert losses_of(runs, known, "test_loss").shape == (3, 3)
    known[runs["run_id"][0]] = items(1, 2)  # of another model, or another split
    assert losses_of(runs, known, "test_loss").tolist() == [[1.0]] * 3
    assert losses_of(runs, {}, "eval_loss").shape == (3, 1)
    assert losses_of(results_frame([entry("lora", 0, None)]), {}, "eval_loss") is None


def test_an_interval_over_items_is_wider_where_the_difference_is_that_of_one_item():
    lora = [entry("lora", seed, 2.0) for seed in range(4)]
    qtha = [entry("qtha", seed, 2.1) for seed in range(4)]
    even = {e["run_id"]: items(2, 2, 2, 2) for e in lora} | {
        e["run_id"]: items(2.1, 2.1, 2.1, 2.1) for e in qtha
    }
    (claim,) = against_the_first(lora + qtha, even)
    assert (claim.first, claim.second, claim.measure) == ("qtha", "lora", "test_loss")
    assert claim.difference.items == 4
    assert claim.difference.mean == pytest.approx(0.1)
    assert claim.difference.is_shown
    uneven = even | {e["run_id"]: items(2.4, 2, 2, 2) for e in qtha}
    (claim,) = against_the_first(lora + qtha, uneven)
    assert claim.difference.mean == pytest.approx(0.1)
    assert not claim.difference.is_shown
    assert "qtha − lora, test loss: +0.100 nat, 95 % interval [" in claim.sentence
    assert "over 4 seeds and 4 rows" in claim.sentence
    assert ": inconclusive (" in claim.sentence
    assert claim.plain()["verdict"] == "inconclusive"


def test_a_claim_is_made_at_the_rate_that_is_best_on_evaluation_rows_whatever_the_test_says():
    runs = [entry("lora", s, 2.0 + s / 100) for s in range(3)]
    # at 0.003 the test would flatter qtha; the evaluation rows choose 0.01
    runs += [entry("qtha", s, 2.5, 0.003, test=1.0) for s in range(3)]
    runs += [entry("qtha", s, 2.2 + s / 100, 0.01) for s in range(3)]
    runs += [entry("qtha", 0, None, 0.1, state="diverged")]
    assert tuning.best_rates(runs) == {"lora": 0.01, "qtha": 0.01}
    (claim,) = against_the_first(runs)
    assert claim.difference.mean == pytest.approx(0.2)


def test_the_report_says_how_rates_were_chosen():
    runs = [entry("lora", s, 2.0 + abs(r - 0.01), r) for s in range(3) for r in (0.003, 0.01, 0.03)]
    runs += [entry("qtha", s, 2.0 - r, r) for s in range(3) for r in (0.003, 0.01, 0.03)]
    assert (
        tuning.rates_sentence(runs)
        == "Learning rates were chosen on evaluation rows, among 3 for each method: lora 0.01, qtha"
        " 0.03. At an end of what was tried, so perhaps not the best: qtha."
    )
    assert tuning.rates_sentence(runs) in notes.notes(runs, len(runs))
    assert "favoured" in tuning.rates_sentence([*runs[:-1], entry("qtha", 0, 2.0, 0.1)])
    assert tuning.rates_sentence([entry("lora", 0, 2.0)]) is None


def test_the_margin_of_a_comparison_decides_equivalence():
    runs = [entry("lora", s, 2.0) for s in range(5)]
    runs += [entry("qtha", s, 2.01 + (-1) ** s / 50) for s in range(5)]
    (narrow,) = against_the_first(runs)
    (wide,) = against_the_first(runs, margin=0.05)
    assert (narrow.difference.verdict, wide.difference.verdict) == ("inconclusive", "equivalent")
    assert wide.sentence.endswith(": equivalent within ±0.05.")


def test_rounding_noise_is_one_sentence_and_no_part_of_a_claim():
    assert noise_sentence({}, seeds=5) is None
    # t(0.975, 4 df) = 2.776, standard deviation 0.0316, two means of 5 seeds: 2.776 · 0.0316 ·
    # √(2/5)
    repeats = {"lora": [4.10, 4.12, 4.09, 4.11, 4.13], "qtha": [4.1] * 5}
    assert (
        noise_sentence(repeats, seeds=5)
        == "Rounding noise: 1-ulp perturbations change a difference by at most ±0.0278 nat (2"
        " methods)."
    )


def test_repeats_are_those_at_the_rate_that_a_method_is_compared_at():
    runs = [entry("lora", s, 2.0 + r, r) for s in range(3) for r in (0.01, 0.03)]
    runs += [entry("qtha", s, 2.0 - r, r) for s in range(3) for r in (0.01, 0.03)]
    first = [entry(name, 0, 2.0, 0.01) for name in ("lora", "qtha") for _ in range(5)]
    best = [entry("qtha", 0, 1.9, 0.03) for _ in range(5)]

    def rates(repeats):
        groups = repeats_of(repeats, runs)
        return {name: of["learning_rate"].iloc[0] for name, of in groups.items()}

    assert rates(first + best) == {"lora": 0.01, "qtha": 0.03}
    # older comparisons repeated the first rate
    assert rates(first) == {"lora": 0.01, "qtha": 0.01}
    assert rates(best[:4]) == {}


def test_methods_without_a_loss_in_common_are_named_and_no_seeds_are_blamed():
    runs = [entry("lora", s, 2.0) for s in range(3)] + [entry("qtha", s, 2.1) for s in range(3)]
    assert without_a_loss(runs) == []
    del runs[0]["test_loss"]
    runs[4]["eval_loss"] = None
    assert against_the_first(runs) == []
    (lack,) = without_a_loss(runs)
    assert (
        lack.sentence
        == "qtha − lora: not compared. Some runs have no test loss, and some of qtha no evaluation"
        " loss either."
    )
    assert without_a_loss(runs[:5]) == []  # two seeds: those are what is lacking


def variants():
    """A method with everything on, and every control that a part needs, each a little worse than
    the one before.
    """
    controls = [c for c in Comparison(methods=f"{WHOLE}+controls").methods if c.name == "qtha"]
    direct = MethodChoice.parse("qtha(r=4,use_mpo=false,use_circuit=false)")
    return [*controls, direct]


def test_every_part_is_a_difference_to_the_same_method_without_it():
    losses = {choice.label: 3.0 + k / 10 for k, choice in enumerate(variants())}
    runs = [
        entry(choice.label, seed, losses[choice.label] + seed / 100)
        for choice in variants()
        for seed in range(3)
    ]
    rows = {row.part: row.claim for row in decompose(runs)}
    assert rows.keys() == PARTS.keys()
    for claim in rows.values():
        assert claim.difference.mean == pytest.approx(losses[claim.first] - losses[claim.second])
    assert rows["circuit"].first == rows["entanglement"].first == WHOLE
    assert "stand_in=bias" in rows["bias"].first
    assert (
        rows["bias"].second
        == rows["MPO"].first
        == "qtha(r=4,waist=16,use_circuit=false,n_layers=1)"
    )
    assert rows["bias"].difference.level == pytest.approx(0.05 / 7)


def test_settings_that_a_control_does_not_read_hide_it_from_no_row():
    names = [WHOLE, "qtha(r=4,waist=16,stand_in=bias)", "qtha(r=4,waist=16,use_circuit=false)"]
    runs = [entry(name, seed, 3.0 + k) for k, name in enumerate(names) for seed in range(3)]
    assert [row.part for row in decompose(runs)] == ["bias"]
    assert decompose([e for e in runs if e["seed"] < 2]) == []
    assert decompose([entry("lora", 0, 1.0)]) == []


def test_items_that_cannot_be_read_are_passed_over(tmp_path):
    from support.run_folders import run_folder

    whole, broken, missing = (run_folder(tmp_path) for _ in range(3))
    write_json(whole.files.test, {"items": ["a"], "losses": [1.0], "labels": [2]})
    write_json(broken.files.test, {"items": ["a"], "losses": [1.0]})
    assert list(read_items([whole, broken, missing])) == [whole.id]


def test_the_layers_that_were_chosen_are_part_of_what_a_method_is_called():
    entry = {"method": "lora", "options": {"r": 2}, "label": "", "target_modules": ["q_proj"]}
    assert tuning.family(entry) == "lora(r=2,target_modules=[q_proj])"
    assert tuning.family(entry | {"target_modules": None}) == "lora(r=2)"


def test_a_method_is_compared_to_its_own_control_as_explain_does():
    losses = {"lora": 1.0, "qpa": 1.5, "qpa(generator=classical)": 2.0}
    entries = [
        entry(method, seed, loss + seed / 1000)
        for method, loss in losses.items()
        for seed in range(4)
    ]
    methods = [MethodChoice.parse(method) for method in losses]
    comparison = Comparison(methods=methods, seeds=list(range(4)))
    summary = summary_of(comparison, [], entries, [], [], len(entries))
    (control,) = summary["controls"]
    assert (control["first"], control["second"]) == ("qpa", "qpa(generator=classical)")
    assert control["mean"] == pytest.approx(-0.5)
    assert control["sentence"] in differences.verdicts(Compared(summary)).sentences
    assert (
        control["verdict"] == findings_of(entries).verdicts[control["first"], control["second"], ""]
    )


def test_a_part_of_qtha_is_stated_once():
    whole, frozen = WHOLE, f"{WHOLE[:-1]},train_circuit=false)"
    losses = {"lora": 1.0, whole: 1.2, frozen: 1.3}
    entries = [
        entry(m, seed, loss + seed / 1000) for m, loss in losses.items() for seed in range(4)
    ]
    comparison = Comparison(methods=[MethodChoice.parse(m) for m in losses], seeds=list(range(4)))
    summary = summary_of(comparison, [], entries, [], [], len(entries))
    assert [row["part"] for row in summary["decomposition"]] == ["trained angles"]
    assert summary["controls"] == []

"""Findings on runs in words.

Never more than a comparison claims, and next steps that can be launched.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from support.refusals import refused
from support.run_folders import finish, run_folder, two_steps, write
from typer.testing import CliRunner

from qtha_lab.cli import load_commands
from qtha_lab.experiment import Comparison, MethodChoice
from qtha_lab.experiment.run_directory import write_json
from qtha_lab.runs.run import list_runs
from qtha_lab.studies.comparison import ComparisonStudy
from qtha_lab.studies.comparison.claims import against_the_first
from qtha_lab.studies.comparison.explain import change, explain, findings_of

METHODS = ("lora", "qtha", "dora")


@pytest.fixture
def launched(tmp_path):
    """Return a function that writes finished runs: loss by method, then by seed."""

    def write_runs(losses, **training):
        for method, by_seed in losses.items():
            for seed, loss in enumerate(by_seed):
                run = run_folder(tmp_path, method, seed, **{"steps": 2} | training)
                two_steps(run)
                finish(run, eval_loss=loss, test_loss=loss, wall_seconds=20.0)
        return explain([tmp_path])

    return write_runs


def entry(method, seed, loss):
    choice = MethodChoice(name=method)
    return {
        "run_id": f"{method} {seed}", "label": choice.label, "method": method, "options": {},
        "seed": seed, "state": "finished", "learning_rate": 0.01, "trainable_parameters": 10,
        "eval_loss": loss, "test_loss": loss, "model": "tiny", "task": "qa",
    }  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(
    st.lists(
        st.lists(
            st.floats(3, 5, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=6
        ),
        min_size=2,
        max_size=3,
    )
)
def test_no_sentence_claims_more_than_the_comparison_does(losses):
    runs = [
        entry(method, seed, loss)
        for method, by_seed in zip(METHODS, losses, strict=False)
        for seed, loss in enumerate(by_seed)
    ]
    sentences = findings_of(runs).sentences
    made = {claim.first: claim.difference for claim in against_the_first(runs)}
    assert len(sentences) == len(losses) - 1
    for name, sentence, by_seed in zip(METHODS[1:], sentences, losses[1:], strict=False):
        if sentence.endswith(": shown."):
            lower, higher = sentence.split(" in test loss")[0].split(" is lower than ")
            first, second = by_seed, losses[0]
            count = min(len(first), len(second))
            gaps = [a - b for a, b in zip(first[:count], second[:count], strict=True)]
            assert made[name].verdict == "shown"
            assert (lower == name) is (made[name].mean < 0)
            assert higher.split(" by ")[0] != lower
            if len(set(gaps)) > 1:  # the t test of one pair is no stricter than that of the family
                assert stats.ttest_1samp(gaps, 0).pvalue < 0.05
        elif " are equivalent within 0.02 nat in " in sentence:
            assert made[name].verdict == "equivalent"
        else:
            assert "inconclusive" in sentence
            assert name not in made or made[name].verdict == "inconclusive"


def test_one_seed_is_inconclusive_and_three_more_are_offered(launched):
    explanation = launched({"lora": [4.1], "qtha": [4.138]})
    assert (
        explanation.sentences[0]
        == "lora is lower than qtha by 0.038 nat in test loss; one seed: inconclusive."
    )
    assert explanation.claims == []
    step = explanation.next_steps[0]
    assert step.label == "3 more seeds"
    assert step.comparison.seeds == [1, 2, 3]
    assert step.runs == 6
    # six runs of 20 s each, at most two at once
    assert step.seconds in (60.0, 120.0)
    assert step.text in ("3 more seeds, 1 min", "3 more seeds, 2 min")


@pytest.mark.parametrize("label", ["3 more seeds", "add the control (no circuit): 1 run"])
def test_a_step_whose_runs_have_begun_is_not_offered_again(launched, tmp_path, label):
    steps = {step.label: step for step in launched({"lora": [4.1], "qtha": [4.138]}).next_steps}
    for experiment in steps[label].comparison.experiments():
        run_folder(tmp_path, experiment.method.label, experiment.seed, steps=2)
    labels = {step.label for step in explain([tmp_path]).next_steps}
    assert {*steps} - labels == {label}


def test_a_difference_that_is_shown_needs_no_seeds(launched):
    explanation = launched({"lora": [4.10, 4.11, 4.12], "qtha": [4.30, 4.31, 4.32]})
    assert (
        explanation.sentences[0]
        == "lora is lower than qtha by 0.200 nat in test loss, 95 % interval of lora − qtha"
        " [-0.200, -0.200] over 3 seeds: shown."
    )
    assert not any("more seeds" in step.label for step in explanation.next_steps)
    labels = [step.label for step in explanation.next_steps]
    assert "tune the learning rate: 8 runs" in labels
    assert "add the control (no circuit): 3 runs" in labels


def test_two_methods_within_the_margin_are_equivalent(launched):
    explanation = launched({"lora": [4.10, 4.11, 4.12], "qtha": [4.101, 4.109, 4.12]})
    assert explanation.sentences[0].startswith(
        "qtha and lora are equivalent within 0.02 nat in test loss: qtha − lora"
    )


def test_an_inconclusive_difference_offers_the_seeds_that_decide_it(launched):
    explanation = launched({"lora": [4.10, 4.11, 4.12], "qtha": [4.20, 4.11, 4.16]})
    assert "qtha against lora, test loss: inconclusive, " in explanation.sentences[0]
    (claim,) = explanation.claims
    missing = claim.difference.seeds_to_decide - 3
    assert explanation.next_steps[0].label == f"{min(10, missing)} more seeds"


def test_a_best_rate_at_the_edge_is_stated_and_the_range_extended(launched):
    explanation = launched(
        {
            "lora(learning_rate=0.01)": [4.2],
            "lora(learning_rate=0.03)": [4.1],
            "qtha(learning_rate=0.01)": [4.2],
        }
    )
    assert any("At an end of what was tried" in text for text in explanation.sentences)
    (step,) = (s for s in explanation.next_steps if s.label.startswith("try rates beyond"))
    assert step.label == "try rates beyond 0.03 for lora: 2 runs"
    assert step.comparison.learning_rates == [0.09, 0.3]


def test_runs_of_different_training_are_not_compared(launched, tmp_path):
    launched({"lora": [4.1, 4.1, 4.1]})
    explanation = launched({"qtha": [4.3, 4.3, 4.3]}, steps=4)
    assert explanation.claims == []
    assert explanation.sentences[0] == (
        "Runs with different training settings are not compared: steps=2 (lora); steps=4 (qtha)."
    )
    step = explanation.next_steps[0]
    assert step.label == "train qtha with steps=2: 3 runs"
    assert (step.comparison.training.steps, step.comparison.seeds) == (2, [0, 1, 2])
    assert any(text.startswith("steps=4: ") for text in explanation.sentences)


def test_open_runs_are_compared_at_their_last_common_step(tmp_path):
    for method, loss in (("lora", 4.5), ("qtha", 4.7)):
        run = run_folder(tmp_path, method, steps=4)
        two_steps(run)
        write(run, {"kind": "eval", "step": 2, "loss": loss})
    sentences = explain([tmp_path]).sentences
    for sentence, method in zip(sentences, ("lora", "qtha"), strict=False):
        assert sentence.startswith(f"1 of 1 runs of {method} ended without a result (seed 0)")
    assert sentences[2:4] == [
        "qtha against lora: inconclusive, no seed has a result of both.",
        "After 2 steps lora is lower than qtha by 0.200 nat in evaluation loss: inconclusive.",
    ]


def test_the_command_prints_the_finding_and_the_next_commands(launched, tmp_path):
    launched({"lora": [4.1], "qtha": [4.138]})
    runner = CliRunner()
    printed = runner.invoke(load_commands(), ["explain", str(tmp_path)])
    assert printed.exit_code == 0
    assert printed.stdout.startswith("lora is lower than qtha by 0.038 nat in test loss; one seed")
    assert "Next: 3 more seeds, " in printed.stdout
    assert "  qtha-lab compare " in printed.stdout
    assert f" --out out/next-1 && qtha-lab explain {tmp_path} out/next-1" in printed.stdout
    data = json.loads(runner.invoke(load_commands(), ["explain", str(tmp_path), "--json"]).stdout)
    assert data["next_steps"][0]["runs"] == 6


def sized(folder, choices):
    """Write one finished run of each method with its number of parameters on the toy model."""
    for choice, parameters in choices.items():
        run = run_folder(folder, choice, steps=2, name="workbench 1")
        two_steps(run)
        finish(run, eval_loss=4.1, test_loss=4.1, trainable_parameters=parameters)
    steps = explain([folder]).next_steps
    return [step for step in steps if step.label.startswith("make equal in size")]


def test_equal_sizes_keep_r_and_bond_and_move_the_waist(tmp_path):
    # 7,680 and 3,408 parameters: counted by `qtha-lab parameters`
    (step,) = sized(tmp_path, {"lora(r=2)": 7680, "qtha(r=4,waist=8,bond_dim=3)": 3408})
    (choice,) = step.comparison.methods
    assert (choice.name, choice.options["r"], choice.options["bond_dim"]) == ("qtha", 4, 3)
    assert choice.options["waist"] > 8
    assert step.label == f"make equal in size, {choice.label}: 1 run"
    assert (step.name, step.runs) == ("workbench 1", 1)
    run_folder(tmp_path, choice.label, 0, "workbench 1", steps=2)
    assert sized(tmp_path, {}) == []  # nor with the other method's size


def test_equal_sizes_are_not_offered_where_the_rule_holds(tmp_path):
    (given, *others) = Comparison(
        methods="lora(r=2),qtha(r=4,bond_dim=3)", matching="equal_parameters"
    ).contenders()
    (other,) = others
    # the matched waist is the widest within 7,680 parameters, and 10 % below them
    assert sized(tmp_path, {given.choice.label: 7680, other.choice.label: 6900}) == []


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_tuned_choice_within_the_noise_of_its_trials_is_named(tmp_path, is_shared):
    place = tmp_path / "comparisons" / "one" if is_shared else tmp_path
    folder = ComparisonStudy(place)
    folder.path.mkdir(parents=True, exist_ok=True)
    axes = {"learning_rate": [0.01, 0.03]}
    folder.write(Comparison(methods="lora,dora", tuning={"axes": axes}))
    for method in ("lora", "dora"):
        for seed in range(3):
            two_steps(run := run_folder(folder.runs_dir, method, seed, "one", steps=2))
            finish(run, eval_loss=4.0, test_loss=4.0 + seed / 100)
    near, far = [2.1, 2.0, 2.3], [2.5, 2.6, 2.8]
    contenders = [
        {"model": "tiny", "task": "qa", "task_options": {}, "declared": name, "method": name,
         "point": {"learning_rate": 0.01},
         "tried": {"learning_rate=0.01": [2.0, 2.1, 2.2], "learning_rate=0.03": other}}
        for name, other in (("lora", near), ("dora", far), ("vera", near))
    ]  # fmt: skip
    damaged = [None, {}, contenders[0] | {"tried": {"learning_rate=0.01": "?"}}]
    write_json(folder.summary_file, {"contenders": [*contenders, *damaged]})
    sentences = explain([folder.runs_dir]).sentences
    stated = [sentence for sentence in sentences if "within the noise" in sentence]
    assert [sentence.split(" is as good")[0] for sentence in stated] == [
        "lora at learning_rate=0.03"
    ]


def test_a_method_is_compared_to_its_own_control_too(tmp_path):
    whole = "qtha(r=4,waist=16,bond_dim=3)"
    control = whole.replace(")", ",use_circuit=false)")
    losses = {"lora(r=2)": 4.10, whole: 4.20, control: 4.40}
    for seed in range(3):
        for method, loss in losses.items():
            run = run_folder(tmp_path, method, seed, steps=2)
            two_steps(run)
            finish(run, eval_loss=loss + seed / 100, test_loss=loss + seed / 100,
                   options=MethodChoice.parse(method).options)  # fmt: skip
    without = [run for run in list_runs(tmp_path) if run.experiment.method.label != control]
    before, after = explain(without), explain([tmp_path])
    assert len(after.claims) == 2  # to the first method; the pair of the control is a third
    assert after.verdicts[whole, control, ""] == "shown"
    assert any(  # named as in the legend
        text.startswith("qtha is lower than qtha(use_circuit=false) by 0.200")
        for text in after.sentences
    )
    words = change(before, after, "add the control")
    assert words.startswith("After “add the control”: ")
    assert "qtha against qtha(use_circuit=false): shown (new)" in words
    assert change(after, after, "x").count("(as before)") == 3


def test_an_empty_set_of_runs_is_refused():
    with refused("No run to explain", rule="is readable"):
        explain([])

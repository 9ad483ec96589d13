"""The conditions of a claim: every field is stated, and none can be left out."""

import dataclasses

import pytest

from qtha_lab.experiment import Comparison
from qtha_lab.studies.comparison.contenders import Conditions

CLAIM = {
    "first": "qtha_gradient(r=4)",
    "second": "lora(r=2,lora_alpha=4,target_modules=[v_proj])",
    "model": "tiny",
    "seeds": 5,
    "items": 28,
    "rows": 112,
    "key_name": "conversation",
}
TUNING = {"axes": {"learning_rate": [0.001, 0.01]}, "seeds": [1000, 1001, 1002]}


def test_the_sentence_states_every_field():
    tuned = Comparison(methods="lora,qtha", seeds=[0, 1, 2], tuning=TUNING)
    conditions = Conditions.of(tuned, CLAIM)
    assert dataclasses.asdict(conditions) == {
        "rate_rule": "each at its tuned rate",
        "trial_seeds": 3,
        "r": (4, 2),
        "alpha": (8, 4),
        "modules": ("q_proj, v_proj", "v_proj"),
        "row_unit": "112 rows of 28 conversations",
    }
    assert conditions.sentence == (
        "each at its tuned rate, chosen on 3 seeds; r 4 against 2; α 8 against 4; at q_proj,"
        " v_proj against v_proj; 112 rows of 28 conversations"
    )


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ([0.001, 0.01], "each at its best of 2 rates, chosen on 5 seeds"),
        ([0.01], "one shared rate"),
    ],
)
def test_the_rule_of_the_rates_is_that_of_the_comparison(rates, words):
    comparison = Comparison(methods="lora,qtha", learning_rates=rates)
    assert Conditions.of(comparison, CLAIM).sentence.startswith(f"{words}; ")


def test_no_field_can_be_left_out():
    with pytest.raises(TypeError, match="row_unit"):
        Conditions("one shared rate", 0, (1, 1), (2.0, 2.0), ("q", "q"))


def test_a_method_that_is_not_loaded_has_neither_r_nor_alpha():
    conditions = Conditions.of(Comparison(), CLAIM | {"first": "of_a_plugin(r=3)"})
    assert conditions.r == (None, 2)
    assert "; r – against 2; α – against 4; " in conditions.sentence


def test_evaluation_losses_have_no_rows():
    conditions = Conditions.of(Comparison(), CLAIM | {"items": 1, "rows": None})
    assert conditions.row_unit == "mean over rows"


def test_rows_without_keys_are_said_to_be_taken_as_independent():
    conditions = Conditions.of(Comparison(), CLAIM | {"key_name": ""})
    assert conditions.row_unit == "112 rows, as independent"

"""One adapter is one method, in whatever order its options are written and in whatever form its
numbers.
"""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtha_lab.adapters import get_method, method_names
from qtha_lab.core import call_syntax
from qtha_lab.core.settings import Setting
from qtha_lab.experiment import Comparison, Experiment, MethodChoice

FEW = settings(max_examples=20, deadline=None, derandomize=True, database=None)


def values(declared: Setting) -> st.SearchStrategy:
    """Values that a setting may have, as far as its own declaration says."""
    if declared.choices:
        return st.sampled_from(list(declared.choices))
    if declared.type is bool:
        return st.booleans()
    if declared.type is int:
        least = int(declared.ge or 1)
        return st.integers(least, int(declared.le or least + 100))
    if declared.type is float:
        return st.sampled_from([0.5, 0.25, 1e-3]) | st.integers(1, 64).map(float)
    return st.just(declared.default)


@st.composite
def options(draw, name: str) -> dict:
    chosen = {
        key: draw(values(declared))
        for key, declared in get_method(name).settings().items()
        if draw(st.booleans())
    }
    placed = {
        "learning_rate": st.floats(1e-5, 1.0),
        "target_modules": st.just(["v_proj", "q_proj"]),
    }
    return chosen | {key: draw(value) for key, value in placed.items() if draw(st.booleans())}


@pytest.mark.parametrize("name", method_names())
@FEW
@given(st.data())
def test_every_order_of_the_options_is_one_method(name, data):
    chosen = data.draw(options(name))
    shuffled = dict(data.draw(st.permutations(list(chosen.items()))))
    one, other = (MethodChoice.parse(call_syntax.call(name, each)) for each in (chosen, shuffled))
    assert one == other
    assert hash(one) == hash(other)
    assert one.label == other.label
    assert MethodChoice.parse(one.label) == one
    assert MethodChoice.parse(one.label).label == one.label


@pytest.mark.parametrize("name", method_names())
def test_options_are_written_in_the_order_declared(name):
    declared = {key: setting.default for key, setting in get_method(name).settings().items()}
    written = MethodChoice(name=name, options=dict(reversed(declared.items()))).label
    assert list(MethodChoice.parse(written).options) == list(declared)


@pytest.mark.parametrize(
    ("one", "other", "label"),
    [
        ("qtha(r=4,alpha=16)", "qtha(alpha=16.0,r=4)", "qtha(r=4,alpha=16)"),
        ("lora(learning_rate=0.010)", "lora(learning_rate=1e-2)", "lora(learning_rate=0.01)"),
        (
            "lora(target_modules=[v_proj,q_proj],r=2)",
            "lora(r=2,target_modules=[q_proj,v_proj,q_proj])",
            "lora(r=2,target_modules=[q_proj,v_proj])",
        ),
        ("qtha(input_scale=1e-1)", "qtha(input_scale=0.10)", "qtha(input_scale=0.1)"),
    ],
)
def test_equal_values_are_one_method_however_they_are_typed(one, other, label):
    first, second = MethodChoice.parse(one), MethodChoice.parse(other)
    assert (first, hash(first)) == (second, hash(second))
    assert first.label == second.label == label


@pytest.mark.parametrize(
    ("methods", "sentence"),
    [
        (
            "qtha(r=4,waist=16),qtha(waist=16,r=4)",
            "Entries must differ, got qtha(r=4,waist=16) twice.",
        ),
        ("lora,lora(r=8)", "Entries must differ, got lora(r=8) twice (the same as lora)."),
        ("qtha(alpha=8),qtha(alpha=8.0)", "Entries must differ, got qtha(alpha=8) twice."),
    ],
)
def test_a_comparison_refuses_one_method_written_in_two_ways(methods, sentence):
    with pytest.raises(ValueError, match=f"^methods: {re.escape(sentence)} Remove one.$"):
        Comparison(methods=methods)


def test_a_description_written_in_another_order_has_the_label_of_today():
    old = "method: {name: qtha, options: {bond_dim: 3, waist: 16, r: 4}}"
    assert Experiment.from_yaml(f"model: tiny\n{old}\n").method.label == (
        "qtha(r=4,waist=16,bond_dim=3)"
    )


def test_an_unknown_method_or_option_keeps_its_words():
    choice = MethodChoice.parse("mine(b=2,a=1.0)")
    assert MethodChoice.parse(choice.label) == choice
    assert MethodChoice.parse("lora(zzz=1,r=2)").label == "lora(r=2,zzz=1)"

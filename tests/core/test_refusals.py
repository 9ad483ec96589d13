"""A refusal holds the setting, the rule and the value of each form of sentence."""

import pytest
from support.refusals import refused

from qtha_lab.core.errors import Refusal

FORMS = {
    "steps must be at least 1, got 0. Choose more.": ("steps", "must be at least 1", "0"),
    "a.csv, line 2: label must be 0.5 or 1, got: '0.4'.": (
        "a.csv, line 2: label",
        "must be 0.5 or 1",
        "'0.4'",
    ),
    "name must be letters, . or -, got /.": ("name", "must be letters, . or -", "/"),
    "The prompt must not be empty.": ("The prompt", "must not be empty", ""),
    "Unknown method 'qhta': did you mean 'qtha'?": ("method", "Unknown", "'qhta'"),
    "methods: Unknown build '3.x'. Known: 1.a": ("build", "Unknown", "'3.x'"),
    "a.yaml cannot be read: no such file.": ("a.yaml", "cannot be read", "no such file"),
    "Run a cannot be moved (No such file).": ("Run a", "cannot be moved", "No such file"),
    "Model a is not on this machine. Run x.": ("Model a", "is not on this machine", ""),
    "No row is left for 1 by f(2).": ("No row", "is left for 1 by f(2)", ""),
    "No run is ticked.": ("No run", "is ticked", ""),
    "tiny has no rows.": ("tiny", "has no rows", ""),
    "The weights have no tensor a. Copy them.": ("The weights", "have no tensor a", ""),
    "layers_pattern cannot be used without x.": ("layers_pattern", "cannot be used without x", ""),
    "broken": ("", "", ""),
}


@pytest.mark.parametrize("sentence", FORMS)
def test_the_fields_of_a_refusal_are_read_from_each_form_of_sentence(sentence):
    refusal = Refusal(sentence)
    assert (refusal.setting, refusal.rule, refusal.value) == FORMS[sentence]
    assert str(refusal) == sentence


@pytest.mark.parametrize(
    "asserted",
    [
        ("r", "0"),
        ("steps", "1"),
        ("steps", "0", "at most"),
    ],
)
def test_the_assertion_notices_another_refusal(asserted):
    setting, value, *rule = asserted
    with pytest.raises(AssertionError, match="no '"), refused(setting, value, rule=" ".join(rule)):
        raise Refusal("steps must be at least 1, got 0.5.")


def test_the_assertion_notices_a_message_of_two_lines():
    with pytest.raises(AssertionError), refused("steps"):
        raise Refusal("steps must be 1,\ngot 0.")


def test_a_long_refusal_keeps_its_rule_and_its_remedy():
    with refused("steps", rule="be 1", remedy="Choose fewer.") as record:
        raise Refusal(f"steps must be 1, got {'0' * 1000}. Choose fewer.")
    assert len(str(record.value)) == 300


def test_a_refusal_of_any_length_is_read_in_bounded_time():
    assert Refusal("is " * 1_000_000).value == ""

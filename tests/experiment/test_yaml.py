"""Descriptions in YAML: what is written is what runs, or the file and the line are named."""

import math
import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.refusals import refused

from qtha_lab.adapters import get_method, method_names
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training
from qtha_lab.experiment.run_directory import RunDir


def refusal(folder, text, described=Experiment):
    file = folder / "it.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(Refusal) as record:
        described.from_yaml(file)
    assert "\n" not in str(record.value)
    return str(record.value).removeprefix(f"{folder}/")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("training:\n  steps: 500\n  steps: 5", "it.yaml, line 3: steps must be given once, got it twice."),
        ("method:\n  name: qtha\n  options: {r: 2, r: 3}", "it.yaml, line 3: r must be given once, got it twice."),
        ("training:\n  batch_size: 2\n  steps: yes", "it.yaml, line 3: training.steps must be a whole number, got 'yes'."),
        ("training: {steps: on}", "it.yaml, line 1: training.steps must be a whole number, got 'on'."),
        ("training:\n  steps: 1:30", "it.yaml, line 2: training.steps must be a whole number, got '1:30'."),
        ("training:\n  steps: 010", "it.yaml, line 2: training.steps must be a whole number, got '010'."),
        ("training:\n  steps: 1_000", "it.yaml, line 2: training.steps must be a whole number, got '1_000'."),
        ("training:\n  steps: 0x10", "it.yaml, line 2: training.steps must be a whole number, got '0x10'."),
        ("training:\n  steps: '5'", "it.yaml, line 2: training.steps must be a whole number, got '5'."),
        ("training:\n  steps: true", "it.yaml, line 2: training.steps must be a whole number, got True."),
        ("training:\n  steps: 2001-01-01", "it.yaml, line 2: training.steps must be a whole number, got '2001-01-01'."),
        ("seed: true", "it.yaml, line 1: seed must be a whole number, got True."),
        ("method:\n  learning_rate: true", "it.yaml, line 2: method.learning_rate must be a number, got True."),
        ("method:\n  learning_rate: .nan", "it.yaml, line 2: method.learning_rate must be"),
        ("training:\n  gradient_checkpointing: yes", "it.yaml, line 2: training.gradient_checkpointing must be true or false, got 'yes'."),
        ("training:\n  gradient_checkpointing: 1", "it.yaml, line 2: training.gradient_checkpointing must be true or false, got 1."),
        ("method:\n  options:\n    rank_pattern: {a: {b: 1}}", "it.yaml, line 3: method.options.rank_pattern: Values by name must be plain ones, got"),
        ("name: !!binary aGk=", "it.yaml, line 1: a value must have no tag, got !!binary"),
        ("name: !!python/object/apply:os.system [ls]", "it.yaml, line 1: a value must have no tag, got !!python/object"),
        ("name: &a x\ntask: *a", "it.yaml, line 2: values must be written out, got the alias *a"),
        ("- a list", "it.yaml, line 1: A description must be a mapping of settings, got ['a list']."),
        ("", "it.yaml: A description must be a mapping of settings, got None."),
        ("a: [\n", "it.yaml, line 2: The text must be YAML, got: did not find expected node content."),
        ("a: \x07", "it.yaml: The text must be YAML, got: control characters are not allowed."),
        ("name: a\n---\nname: b", "it.yaml, line 2: the text must be one document, got a second."),
        ("[a]: 3", "it.yaml, line 1: the name of a setting must be a word"),
        ("3: number as name", "it.yaml, line 1: Unknown experiment setting '3'"),
        ("name: x\ntraining:\n  stpes: 3", "it.yaml, line 3: Unknown training setting 'stpes': did you mean 'steps'?"),
        ("seed: 1\nmethod: qtha(r=4", "it.yaml, line 2: method: A method must have the form name or name(option=value,...), got"),
        ("name: é".encode("latin-1"), "it.yaml, line 1: the text must be UTF-8, got other bytes. Save it as UTF-8."),
        ("name: x\n#" + "x" * 2**20, "it.yaml must have at most 1 MiB"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_by_file_and_line(tmp_path, text, sentence):
    assert sentence in refusal(tmp_path, text)


def test_a_comparison_names_the_line_of_the_method(tmp_path):
    text = "methods:\n- name: lora\n- name: qtha\n  learning_rate: -1\n"
    message = refusal(tmp_path, text, Comparison)
    assert message.startswith("it.yaml, line 4: methods[1].learning_rate must be above 0, got -1")
    assert "line 2: seeds[1] must be a whole number, got False" in refusal(
        tmp_path, "seeds:\n  [0, false]", Comparison
    )


@pytest.mark.parametrize("text", ["[" * 200_000, "a: " + "{b: " * 60_000, "- " * 100_000, "a:\n - - - - - - - - - 1"])  # fmt: skip
def test_deep_nesting_is_refused_also_as_the_description_of_a_run(tmp_path, text):
    message = refusal(tmp_path, text)
    assert "nested at most 8 levels deep" in message or "maximum nesting depth" in message
    (tmp_path / "experiment.yaml").write_text(text)
    with refused("experiment.yaml, line"):
        _ = RunDir(tmp_path).experiment


def test_what_people_write_is_read_as_they_mean_it():
    text = (
        "\ufeff# mine\nname: 2026-11-25\ntask: no\nmethod:\n  learning_rate: 1e-3\n  options: {r:"
        " 4, flag: TRUE, way: yes, none: ~, x: .5, at: 1:30}\ntraining: {steps: +5, weight_decay:"
        " 1, warmup_fraction: 0.}"
    )
    read = Experiment.from_yaml(text)
    assert (read.name, read.task) == ("2026-11-25", "no")
    assert read.method.learning_rate == 0.001
    assert read.method.options == {
        "r": 4,
        "flag": True,
        "way": "yes",
        "none": None,
        "x": 0.5,
        "at": "1:30",
    }
    assert (read.training.steps, read.training.weight_decay) == (5, 1.0)


@pytest.mark.parametrize("text", ["1e-3", "yes", "010", "1:30", "~", "null", "1.", "2026-01-01", "0x1f", "-", "<<", "=", "", " x ", "a: b", "é😀"])  # fmt: skip
def test_a_text_that_looks_like_something_else_stays_text(text):
    described = Experiment(name=text, task_options={"x": text})
    assert Experiment.from_yaml(described.to_yaml()) == described
    assert yaml.safe_load(described.to_yaml()).get("name", "") == text


def test_values_made_in_python_are_held_as_strictly():
    for wrong in (True, 1.5, "5"):
        with refused("training.steps", rule="a whole number"):
            Experiment(training={"steps": wrong})
    assert Training(weight_decay=1).weight_decay == 1.0
    assert MethodChoice(options={"in_dims": (4, 4)}).options == {"in_dims": [4, 4]}


words = st.text(max_size=12) | st.sampled_from(["1e-3", "yes", "1:30", "~", "1e5", ".5", "-.inf"])
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
plain = st.none() | st.booleans() | numbers | words


def values_of(setting):
    """Values such as a setting may have, within its limits or not."""
    if setting.choices:
        return st.sampled_from(list(setting.choices))
    by_type = {int: st.integers(), float: numbers, bool: st.booleans(), str: words}
    return by_type.get(setting.type, plain | st.lists(plain, max_size=3))


@st.composite
def choices(draw):
    name = draw(st.sampled_from(sorted(method_names())))
    declared = get_method(name).settings()
    chosen = []
    if declared:
        chosen = draw(st.lists(st.sampled_from(sorted(declared)), unique=True, max_size=5))
    options = {key: draw(values_of(declared[key])) for key in chosen}
    rate = draw(st.none() | st.floats(0, exclude_min=True, allow_infinity=False))
    targets = draw(st.none() | st.lists(words, min_size=1, max_size=3))
    return MethodChoice(name=name, options=options, learning_rate=rate, target_modules=targets)


@given(method=choices(), extra=st.dictionaries(words, plain, max_size=3), name=words, decay=st.floats(0, 1e300))  # fmt: skip
@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_every_methods_options_come_back_from_yaml(method, extra, name, decay):
    described = Experiment(
        method=method, task_options=extra, name=name, training={"weight_decay": decay}
    )
    assert Experiment.from_yaml(described.to_yaml()) == described
    both = Comparison(methods=[method], task_options=extra, seeds=[3])
    assert Comparison.from_yaml(both.to_yaml()) == both


structures = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
fields = st.dictionaries(
    st.sampled_from(
        [*Experiment.model_fields, *Comparison.model_fields, *Training.model_fields, "self"]
    ),
    structures
    | st.dictionaries(
        st.sampled_from([*Training.model_fields, "name", "options"]), structures, max_size=3
    ),
    max_size=4,
)
texts = st.text(max_size=60).map("\n".__add__) | st.text(
    "ab:-[]{}&*!|>'\"%@`,?#\n \t01.~", max_size=60
).map("\n".__add__)


@pytest.mark.slow
@given(text=fields.map(yaml.safe_dump) | texts, described=st.sampled_from([Experiment, Comparison]))
@settings(deadline=None, max_examples=500, suppress_health_check=[HealthCheck.too_slow])
def test_any_text_is_a_description_or_a_refusal(text, described):
    try:
        read = described.from_yaml("\n" + text)
    except Refusal as record:
        message = str(record)
        assert message.encode()
        assert "\n" not in message
        assert len(message) < 600  # what is known is listed, and so is what was written, escaped
        return
    assert described.from_yaml(read.to_yaml()) == read
    assert math.isfinite(read.training.weight_decay)
    assert not re.search(r"\bnan\b", read.to_yaml()) or "nan" in text


@pytest.mark.parametrize("objective", ["5", "[]", "{kind: distillation}"])
def test_an_objective_that_is_no_name_is_refused(objective):
    with pytest.raises(Refusal, match=r"objective|supervised"):
        Experiment.from_yaml(f"objective: {objective}\n")


def test_an_empty_objective_is_the_default():
    assert Experiment.from_yaml("objective: {}\n").training == Experiment().training

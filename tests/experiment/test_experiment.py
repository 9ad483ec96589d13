"""One description in four forms, and refusals in one sentence."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.refusals import refused
from support.run_folders import COMPARISONS, DESCRIBED

from qtha_lab.core import call_syntax
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training, validation
from qtha_lab.experiment.validated_model import FieldError
from qtha_lab.models.catalogue import locate


@pytest.mark.parametrize("described", DESCRIBED)
def test_yaml_read_back_is_the_same(described, tmp_path):
    text = described.to_yaml()
    assert type(described).from_yaml(text) == described
    (tmp_path / "it.yaml").write_text(text)
    assert type(described).from_yaml(tmp_path / "it.yaml") == described
    assert type(described).from_yaml(str(tmp_path / "it.yaml")) == described


@pytest.mark.parametrize("described", DESCRIBED)
def test_python_run_gives_the_same(described):
    code, start = described.to_python().rstrip().rsplit("\n", 1)
    names = {}
    exec(code, names)
    assert names[type(described).__name__.lower()] == described
    assert start.startswith(("run = launch(", "summary = compare.run("))


def test_what_is_at_its_default_is_not_written():
    assert Experiment().to_yaml() == "model: tiny\ntask: qa\nmethod:\n  name: qtha\n"
    assert Experiment().to_command() == "qtha-lab run"
    assert Experiment(training={"steps": 5}).to_command() == "qtha-lab run --steps 5"


@pytest.mark.parametrize("label", ["lora", "qtha(r=4,waist=16)", "qtha(r=4,learning_rate=0.02)"])
def test_a_label_is_what_parse_reads(label):
    assert MethodChoice.parse(label).label == label


scalars = st.one_of(
    st.booleans(), st.integers(), st.floats(allow_nan=False), st.none(), st.text("ab1.-,([ =)]'")
)


@given(st.dictionaries(st.from_regex("[a-z_]{1,8}", fullmatch=True), scalars, max_size=4))
def test_any_options_survive_the_short_form(options):
    assert call_syntax.parse_call(call_syntax.call("m", options), "method") == ("m", options)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"training": {"steps": 0}}, "training.steps must be at least 1, got 0"),
        ({"training": {"steps": "many"}}, "training.steps must be a whole number, got 'many'"),
        ({"training": {"stpes": 3}}, "Unknown training setting 'stpes': did you mean 'steps'?"),
        ({"sede": 1}, "Unknown experiment setting 'sede': did you mean 'seed'?"),
        ({"seed": -1}, "seed must be at least 0, got -1"),
        (
            {"training": {"schedule": "linaer"}},
            "training.schedule must be one of 'linear', 'cosine'",
        ),
        ({"method": {"name": "lora", "learning_rate": 0}}, "method.learning_rate must be above 0"),
        ({"method": {"learning_rate": float("nan")}}, "method.learning_rate must be"),
        (
            {"method": "lora(r=2"},
            "must have the form name or name(option=value,...), got 'lora(r=2'",
        ),
        ({"method": f"lora(r={'[' * 70_000})"}, "A list must have at most 65,536 characters, got"),
        ({"method": "lora(r)"}, "An option must have the form name=value, got 'r'"),
        ({"method": "lora(r=1,r=2)"}, "Options must have different names, got r twice"),
        ({"method": 3}, "method must be a mapping, got 3"),
        ({"training": {"weight_decay": float("inf")}}, "training.weight_decay must be"),
    ],
)
def test_a_wrong_field_gets_one_sentence(fields, sentence):
    with pytest.raises(ValueError) as record:  # noqa: PT011
        Experiment(**fields)
    assert sentence in str(record.value)
    assert "\n" not in str(record.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"seeds": [1, 1]}, "seeds: Entries must differ, got 1 twice"),
        ({"methods": "lora,lora"}, "methods: Entries must differ, got lora twice"),
        ({"methods": []}, "methods must be at least 1 long"),
        ({"methods": [{"name": "lora", "learning_rate": -1}]}, "methods[0].learning_rate must be"),
    ],
)
def test_a_wrong_comparison_gets_one_sentence(fields, sentence):
    with pytest.raises(ValueError) as record:  # noqa: PT011
        Comparison(**fields)
    assert sentence in str(record.value)


def test_a_missing_file_is_named():
    with refused("no/such.yaml", "no such file or directory"):
        Experiment.from_yaml("no/such.yaml")


def test_every_setting_has_a_help_text():
    for declared in (Experiment, Comparison, MethodChoice, Training):
        for name, setting in settings_of(declared).items():
            assert setting.help.endswith("."), f"{declared.__name__}.{name}: {setting.help!r}"


def test_a_comparison_gives_every_method_the_same_seeds_and_training():
    comparison = COMPARISONS[1]
    experiments = comparison.experiments()
    assert len(experiments) == 2 * 3
    assert all(e.training == comparison.training for e in experiments)
    for method in comparison.methods:
        assert [e.seed for e in experiments if e.method == method] == [0, 1, 2]


@pytest.mark.parametrize(
    ("experiment", "sentence"),
    [
        (Experiment(model="tinny"), "Unknown model 'tinny': did you mean 'tiny'?"),
        (Experiment(task="qaa"), "Unknown task 'qaa': did you mean 'qa'?"),
        (Experiment(method="qhta"), "Unknown method 'qhta': did you mean 'qtha'?"),
        (Experiment(method="qtha(ansatz=qthaa)"), "did you mean 'qtha'?"),
        (Experiment(method="qtha(waiste=16)"), "did you mean 'waist'?"),
        (Experiment(method="lora(r=0)"), "r "),
        (Experiment(method="qtha(r=1)"), "2"),
        (Experiment(method={"options": {"r": {"a": 1}}}), "r must be a whole number, got {'a': 1}"),
        (Experiment(method="qtha(in_dims=[7,7])"), "49"),
        (Experiment(method="lora(target_modules=[q_prj])"), "q_proj"),
        (
            Experiment(training={"train_rows": 4}),
            "batch_size must be at most 4, the training rows of task qa, got 8",
        ),
    ],
)
def test_what_cannot_run_is_refused_before_anything_is_loaded(experiment, sentence, tmp_path):
    with pytest.raises(ValueError) as record:  # noqa: PT011
        experiment.check(tmp_path)
    assert sentence in str(record.value)
    assert "\n" not in str(record.value)


def test_what_can_run_is_not_refused(tmp_path):
    Experiment(method="qtha(r=4,waist=16)").check(tmp_path)
    Experiment(method="lora").check(tmp_path)
    Experiment(task="supersense", method="lora").check(tmp_path)


def test_a_disk_without_room_is_refused_with_both_sizes(tmp_path):
    with refused("The runs folder", rule="953,674.3 MiB free"):
        validation.check_disk(tmp_path, 10**12)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with refused("The runs folder", rule="writable"):
        validation.check_disk(tmp_path / "file" / "runs", 1)
    with refused("The runs folder", "/proc/self/runs (No such file or directory)"):
        validation.check_disk(Path("/proc/self/runs"), 1)


@pytest.mark.parametrize(
    ("changes", "setting", "value", "rule"),
    [
        ({"method": "lora(inference_mode=true)"}, "inference_mode", "", "be set for method 'lora'"),
        ({"method": "lora(peft_type=IA3)"}, "peft_type", "", "be set for method 'lora'"),
        ({"method": "qtha(task_type=SEQ_CLS)"}, "task_type", "", "be set for method 'qtha'"),
        ({"method": "qtha(base_model_name_or_path=x)"}, "base_model_name_or_path", "", ""),
        ({"method": "lora(target_modules=[])"}, "method.target_modules", "[]", ""),
        (
            {"method": {"name": "lora", "options": {"target_modules": ["q_proj"]}}},
            "method.options: target_modules",
            "it among them",
            "",
        ),
        ({"training": {"report_to": "mlflow"}}, "report_to", "mlflow", ""),
        ({"training": {"threads": 99999}}, "threads", "99999", ""),
        ({"training": {"max_length": 99999999}}, "max_length", "99,999,999", ""),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_would_be_ignored_or_no_run_survives_is_refused(changes, setting, value, rule):
    with refused(setting, value, rule=rule):
        Experiment(**changes).check()


def test_a_model_folder_without_its_weights_is_refused(tmp_path):
    shutil.copytree(locate("tiny"), tmp_path / "model")
    Experiment(model=str(tmp_path / "model")).check()
    (tmp_path / "model" / "model.safetensors").unlink()
    with refused(value="neither"):
        Experiment(model=str(tmp_path / "model")).check()


def test_what_a_part_as_a_whole_is_refused_for_is_said_as_it_stands():
    with refused("axis", "'learning_rat'", error=FieldError):
        Comparison(methods="lora,qtha", tuning={"axes": {"learning_rat": [0.1, 0.2]}})
    axes = {"learning_rate": [0.001, 0.01], "qtha.r": "1..8"}
    with refused("tuning.axes", "qtha.r", error=FieldError):
        Comparison(methods="lora", tuning={"axes": axes, "trials": 2, "seeds": [7]})
    with refused("tuning.trials", "0", error=FieldError) as record:
        Comparison(methods="lora,qtha", tuning={"trials": 0})
    assert record.value.place == "tuning.trials"

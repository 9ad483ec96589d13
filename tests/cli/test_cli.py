"""The command line says what the Python says: same settings, same refusals, same experiments."""

import json
import os
import shlex
import subprocess
import sys

import pytest
import typer
from support.command_line import call
from support.run_folders import DESCRIBED
from typer.testing import CliRunner

from qtha_lab import __version__
from qtha_lab.cli.flags import combine, with_flags
from qtha_lab.core.settings import settings_of
from qtha_lab.experiment import Comparison, Experiment, Training, Tuning


@pytest.mark.parametrize(("command", "own"), [("run", Experiment), ("compare", Comparison)])
def test_every_setting_has_a_flag_with_its_help(command, own):
    answer = " ".join(call(command, "--help").output.replace("│", " ").split())
    settings = {**settings_of(Training), **settings_of(own)}
    if settings.pop("tuning", None):
        settings |= {f"tuning_{name}": s for name, s in settings_of(Tuning).items()}
    for name, declared in settings.items():
        if name != "training":
            assert f"--{name.replace('_', '-')}" in answer
            assert declared.help.split(".")[0].split(";")[0] in answer


@pytest.mark.parametrize(
    "command",
    [
        "run",
        "compare",
        "runs",
        "stop",
        "resume",
        "fetch",
        "doctor",
        "bench",
        "methods",
        "plot",
        "ansatze",
        "chat",
        "init",
        "models",
        "tasks",
        "engines",
        "trust",
    ],
)
def test_every_command_explains_itself(command):
    answer = call(command, "--help")
    assert answer.exit_code == 0
    assert "Usage" in answer.output


@pytest.mark.slow
@pytest.mark.parametrize(
    "experiment",
    [
        Experiment(),
        Experiment(method="lora(r=2,learning_rate=0.01)", seed=3, training={"steps": 7}),
        Experiment(
            method="qtha(r=4,waist=16,reupload=false)",
            name="a name with spaces",
            training={"eval_rows": None, "precision": "bfloat16", "gradient_checkpointing": True},
        ),
    ],
    ids=lambda e: e.method.label,
)
def test_the_equivalent_command_makes_the_same_experiment(experiment):
    words = shlex.split(experiment.to_command())[1:]
    answer = call(*words, "--dry-run")
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    assert Experiment.from_yaml(answer.output) == experiment
    assert "trainable parameters" in answer.output


@pytest.mark.parametrize("described", DESCRIBED)
def test_the_flags_of_a_command_give_the_same_description(described):
    read, kind = [], type(described)
    own = typer.Typer()

    @own.command()
    @with_flags((kind, "own"), (Training, "training"))
    def command(flags: dict | None = None) -> None:
        read.append(kind(**combine({}, flags or {}, Training)))

    words = shlex.split(described.to_command())[2:]
    answer = CliRunner().invoke(own, words, catch_exceptions=False)
    assert (answer.exit_code, read) == (0, [described]), answer.output


def test_a_comparison_is_read_from_a_file_and_flags_win_over_it(tmp_path):
    file = tmp_path / "comparison.yaml"
    file.write_text(Comparison(methods="lora(r=2),qtha(r=3,waist=16)", seeds=[4, 5]).to_yaml())
    answer = call("compare", str(file), "--seeds", "7", "--steps", "9", "--dry-run")
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    read = Comparison.from_yaml(answer.output)
    assert (read.seeds, read.training.steps) == ([7], 9)
    assert [m.label for m in read.methods] == ["lora(r=2)", "qtha(r=3,waist=16)"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--method", "qhta"], "Unknown method 'qhta': did you mean 'qtha'"),
        (["--method", "qtha(r=1)"], "r must be at least 2 for ansatz 'qtha', got 1."),
        (["--model", "tinny"], "did you mean 'tiny'"),
        (["--task", "qaa"], "did you mean 'qa'"),
        (["--steps", "0"], "training.steps must be at least 1, got 0."),
        (["--steps", "many"], "steps must be a whole number, got 'many'"),
        (["--schedule", "linea"], "schedule must be one of"),
        (["--learning-rate", "0"], "learning_rate must be above 0"),
        (["--learning-rate", "fast"], "learning_rate must be a number, got 'fast'"),
    ],
)
def test_a_refusal_is_a_sentence_and_starts_nothing(words, sentence, tmp_path):
    answer = call("run", *words)
    assert isinstance(answer.exception, ValueError)
    assert sentence in str(answer.exception)
    assert not list((tmp_path / "runs").glob("*")) or not (tmp_path / "runs").exists()


def test_a_learning_rate_typed_is_that_of_the_method_and_wins():
    answer = call(
        "run", "--method", "lora(r=2,learning_rate=1)", "--learning-rate", "3e-3", "--dry-run"
    )
    assert answer.exit_code == 0, answer.output + str(answer.exception)
    assert Experiment.from_yaml(answer.output).method.label == "lora(r=2,learning_rate=0.003)"


def test_settings_of_a_file_are_kept_beneath_those_typed():
    remaining = combine(
        {"seed": 1, "training": {"steps": 5, "batch_size": 2}}, {"steps": "6"}, Training
    )
    assert remaining == {"seed": 1, "training": {"steps": "6", "batch_size": 2}}


def test_the_doctor_says_what_is_here_and_how_to_mend_what_is_not():
    answer = call("doctor", "--json")
    findings = {f["name"]: f for f in json.loads(answer.output)}
    assert findings["torch"]["level"] == "ok"
    assert findings["model tiny"]["level"] == "ok"
    for finding in findings.values():
        assert finding["level"] == "ok" or finding["mend"] or finding["name"] == "accelerator"


def test_no_runs_yet_is_an_empty_list_not_an_error():
    assert json.loads(call("runs", "--json").output) == []


def test_a_run_that_is_not_there_is_refused():
    answer = call("stop", "20260101-000000-tiny")
    assert "Unknown run '20260101-000000-tiny' in" in str(answer.exception)


def test_a_fault_of_ours_is_one_sentence_that_names_its_log(tmp_path):
    log = tmp_path / "faults.log"
    code = (
        "import sys; from qtha_lab import cli; from qtha_lab.cli import diagnosis as doctor;"
        " sys.argv = ['qtha-lab', 'doctor'];del doctor.examine; cli.main()"
    )
    env = {**os.environ, "QTHA_LAB_LOG": str(log)}
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert answer.returncode == 1
    assert (
        answer.stderr
        == f"error: this is a fault of qtha-lab {__version__} (ImportError); details in {log};"
        " please report it\n"
    )
    assert "Traceback" in log.read_text()


def test_a_file_that_is_not_there_is_no_fault(tmp_path):
    words = ["-c", "from qtha_lab.cli import main; main()", "run", str(tmp_path / "missing.yaml")]
    answer = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "missing.yaml" in answer.stderr
    assert "fault" not in answer.stderr

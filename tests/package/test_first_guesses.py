"""Names that a newcomer guesses first exist and do what is expected."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

import qtha_lab
from qtha_lab.cli import load_commands


@pytest.mark.parametrize(
    ("function", "member"),
    [
        (qtha_lab.list_methods, "qtha"),
        (qtha_lab.list_models, "tiny"),
        (qtha_lab.list_tasks, "qa"),
        (qtha_lab.list_engines, "auto"),
        (qtha_lab.list_ansatze, "qtha"),
    ],
)
def test_members_are_listed(function, member):
    assert member in [*function()]


def test_a_model_unpacks_into_model_and_tokenizer():
    model, tokenizer = qtha_lab.load_model("tiny")
    assert model.config.vocab_size >= len(tokenizer)


def test_every_own_config_is_at_the_top():
    from peft import PeftConfig

    names = [name for name in qtha_lab.__all__ if name.endswith("Config")]
    assert len(names) == 7
    assert all(issubclass(getattr(qtha_lab, name), PeftConfig) for name in names)


@pytest.mark.parametrize(
    ("command", "member"),
    [("models", "tiny"), ("tasks", "qa"), ("engines", "cpu"), ("ansatze", "qtha")],
)
def test_the_command_lists_members(command, member):
    for words in ([command], [command, "--json"]):
        answer = CliRunner().invoke(load_commands(), words)
        assert answer.exit_code == 0, answer.output
        assert member in answer.output


def test_the_version_is_printed_and_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "qtha_lab", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"qtha-lab {qtha_lab.__version__}"

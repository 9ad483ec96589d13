"""Every command prints JSON where asked to, and shells complete the names of commands."""

import json

import pytest
from support.command_line import call
from typer.main import get_command
from typer.testing import CliRunner

from qtha_lab.cli import load_commands

WITHOUT = {"lab"}  # becomes the process of JupyterLab
SHELLS = ("bash", "zsh", "fish", "powershell")


def commands(group=None, names=()):
    """Yield the words of each command, and its parameters."""
    group = group or get_command(load_commands())
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if name != "bench":  # files of a checkout, whose --json names a file
                yield from commands(command, (*names, name))
        else:
            yield " ".join((*names, name)), command.params


ALL = dict(commands())


def test_the_commands_are_found():
    assert len(ALL) >= 30
    assert {"check-plugin", "new-plugin", "runs show", "runs trash", "trust"} <= set(ALL)


@pytest.mark.parametrize("words", sorted(set(ALL) - WITHOUT))
def test_every_command_has_the_same_option_for_json(words):
    (option,) = [p for p in ALL[words] if "--json" in p.opts]
    assert (option.is_flag, option.help) == (True, "Print JSON.")


LISTS = [
    "methods",
    "models",
    "tasks",
    "engines",
    "ansatze",
    "runs",
    "runs trash",
    "reproduce --list",
]


@pytest.mark.parametrize("words", LISTS)
def test_a_list_is_one_json_document(words):
    done = call(*words.split(), "--json")
    assert done.exit_code == 0, done.output
    assert isinstance(json.loads(done.stdout), list | dict)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_of_completion_is_printed_for_every_shell(shell):
    environment = {"_QTHA_LAB_COMPLETE": f"source_{shell}"}
    done = CliRunner().invoke(load_commands(), [], prog_name="qtha-lab", env=environment)
    assert done.exit_code == 0, done.output
    assert f"complete_{shell}" in done.stdout


def test_the_names_of_commands_are_completed():
    environment = {
        "_QTHA_LAB_COMPLETE": "complete_bash",
        "COMP_WORDS": "qtha-lab check-",
        "COMP_CWORD": "1",
    }
    done = CliRunner().invoke(load_commands(), [], prog_name="qtha-lab", env=environment)
    assert done.stdout.split() == ["check-data", "check-plugin"]

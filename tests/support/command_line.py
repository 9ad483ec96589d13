"""The command line in this process."""

from typer.testing import CliRunner

from qtha_lab.cli import load_commands


def call(*words: str):
    return CliRunner().invoke(load_commands(), list(words), env={"COLUMNS": "200"})

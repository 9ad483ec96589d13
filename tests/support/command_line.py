"""The command line in this process."""

from typer.testing import CliRunner

from qtha_lab.cli import (  # noqa: F401  (they add their commands)
    app,
    bench,
    compare,
    figures,
    inspect,
    machine,
    methods,
    plugins,
    run,
    runs,
    sweep,
)


def call(*words: str):
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})

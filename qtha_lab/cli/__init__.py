"""The command `qtha-lab`: everything the workbench does, from the shell.

One file a group of commands. A refusal is one sentence on standard error and exit status 2; a
fault of ours is one too, with status 1 and its traceback in a file.
"""

import importlib
import os
import sys

from typer import Typer

from qtha_lab import faults
from qtha_lab.cli.application import app

__all__ = ["app", "main"]

COMMANDS = (
    "bench",
    "compare",
    "evaluate",
    "export",
    "federate",
    "figures",
    "inspect",
    "machine",
    "methods",
    "plugins",
    "report",
    "reproduce",
    "run",
    "runs",
    "search",
    "start",
    "sweep",
    "talk",
    "trust",
)


def load_commands() -> Typer:
    """The application with all its commands."""
    for name in COMMANDS:
        importlib.import_module(f"qtha_lab.cli.{name}")
    return app


def main() -> None:
    """Run the command line; what goes wrong becomes one sentence (`QTHA_LAB_DEBUG=1` shows the traceback)."""
    load_commands()
    try:
        app()
    except Exception as error:
        if os.environ.get("QTHA_LAB_DEBUG"):
            raise
        print(f"error: {faults.sentence(error)}", file=sys.stderr)
        sys.exit(2 if faults.is_refusal(error) else 1)

"""The command `qtha-lab`: every function of the workbench from the shell.

Each group of commands is one file. A refusal is one sentence on standard error with exit status 2.
An unexpected exception gives one sentence and status 1; its traceback goes to a file.
"""

import importlib
import io
import os
import sys
from pathlib import Path

from typer import Typer
from typer._click.exceptions import ClickException, NoArgsIsHelpError

from qtha_lab.cli.output import app
from qtha_lab.core import fault_log, paths
from qtha_lab.core.io import shortened, show

__all__ = ["app", "main"]

LONGEST = 300  # characters of a sentence
COMMANDS = (
    "compare",
    "course",
    "federate",
    "setup",
    "members",
    "parameters",
    "plugins",
    "report",
    "reproduce",
    "run",
    "runs",
    "search",
    "init",
    "sweep",
    "chat",
    "predict",
)


def load_commands() -> Typer:
    """Return the application with all its commands."""
    for name in COMMANDS:
        importlib.import_module(f"qtha_lab.cli.{name}")
    return app


def main() -> None:
    """Run the command line; an exception becomes one sentence.

    `QTHA_LAB_DEBUG=1` shows the traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may lack box characters
            stream.reconfigure(errors="replace")
    try:
        paths.working_folder()  # numeric libraries kill a process whose folder is gone
        sys.exit(load_commands()(standalone_mode=False) or 0)
    except Exception as error:
        if os.environ.get("QTHA_LAB_DEBUG"):
            raise
        if isinstance(error, NoArgsIsHelpError):
            show(error.ctx.get_help(), to=sys.stderr)
            sys.exit(2)
        is_usage = isinstance(error, ClickException)
        sentence = _brief(error.format_message() if is_usage else fault_log.fault_sentence(error))
        show(f"error: {shortened(sentence, LONGEST)}", to=sys.stderr)
        sys.exit(2 if is_usage or fault_log.is_refusal(error) else 1)


def _brief(sentence: str) -> str:
    """Shorten long command-line words in a sentence."""
    for word in filter(lambda word: len(word) > 80, sys.argv[1:]):
        for form in (word, repr(word)[1:-1]):
            sentence = sentence.replace(form, shortened(Path(word) if "/" in word else word))
    return sentence

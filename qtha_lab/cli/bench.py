"""`qtha-lab bench`: the project's own benchmarks.

The commands are in `benchmarks/commands.py`, beside the package in a checkout. They are imported
when they are needed.
"""

import importlib
import importlib.util
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group

from qtha_lab.cli.output import app
from qtha_lab.core.errors import Refusal


class Benchmarks(TyperGroup):
    """The commands of `benchmarks.commands`."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        """Return the names of all benchmarks; refuse without a checkout."""
        return sorted(self._commands())

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        """Return the command of a name, or None if there is none."""
        return self._commands().get(cmd_name)

    @staticmethod
    def _commands() -> dict[str, Any]:
        if importlib.util.find_spec("benchmarks") is None:
            raise Refusal(
                "Benchmarks must run in a checkout of qtha-lab, got the installed package."
            )
        return dict(get_group(importlib.import_module("benchmarks.commands").app).commands)


bench = typer.Typer(
    cls=Benchmarks, help="Measure; each table names its machine.", no_args_is_help=True
)
app.add_typer(bench, name="bench")


@bench.callback()
def bench_commands() -> None:
    """Measure; each table names its machine."""

"""`qtha-lab bench`: the project's own benchmarks, as ratios inside one process.

The commands are files in `benchmarks/commands/`, beside the package in a checkout; each is imported
when it is called.
"""

import importlib
import importlib.util
import pkgutil
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from qtha_lab.cli.application import app
from qtha_lab.core.errors import Refusal

COMMANDS = "benchmarks.commands"


class Benchmarks(TyperGroup):
    """The files of `benchmarks/commands/` as commands."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        """Return their names; refuse if the package is installed without a checkout."""
        if importlib.util.find_spec("benchmarks") is None:
            raise Refusal("Benchmarks need a checkout of qtha-lab, not the installed package.")
        folder = importlib.import_module(COMMANDS).__path__
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(folder))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        """Return the command of one file, or None if there is no such file."""
        if cmd_name not in self.list_commands(ctx):
            return None
        single, name = typer.Typer(add_completion=False), cmd_name.replace("-", "_")
        module = importlib.import_module(f"{COMMANDS}.{name}")
        single.command(name=cmd_name)(getattr(module, name))
        return get_command(single)  # pyright: ignore[reportReturnType]  typer has a click of its own


bench = typer.Typer(
    cls=Benchmarks, help="Measure; each table names its machine.", no_args_is_help=True
)
app.add_typer(bench, name="bench")


@bench.callback()
def bench_commands() -> None:
    """Measure; each table names its machine."""

"""`qtha-lab check-plugin` and `new-plugin`: contract and first file of a plugin."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table
from qtha_lab.core.io import show


@app.command("check-plugin")
def check_plugin(
    plugin: Annotated[
        str, typer.Argument(help="A Python file or an importable module.", metavar="plugin")
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check every contract fact of the members that a plugin registers.

    The exit status is 1 if a fact does not hold.
    """
    from qtha_lab import testing as contract

    verdicts = contract.check_plugin(plugin)
    if json:
        print_json([dataclasses.asdict(v) | {"holds": v.holds} for v in verdicts])
    else:
        for member in dict.fromkeys((verdict.kind, verdict.member) for verdict in verdicts):
            rows = [(v.fact, v.seen or "holds") for v in verdicts if (v.kind, v.member) == member]
            print_table([(" ".join(member), "seen"), *rows])
    if not all(verdict.holds for verdict in verdicts):
        raise typer.Exit(1)


@app.command("new-plugin")
def new_plugin(
    family: Annotated[
        str, typer.Argument(help="method, ansatz, task, figure, engine, …", metavar="family")
    ],
    name: Annotated[str, typer.Argument(help="Name of the new member.", metavar="name")],
    folder: Annotated[Path, typer.Option(help="Folder of the new files.")] = Path(),
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a documented plugin that passes check-plugin, and its test."""
    from qtha_lab.testing.new_plugin import new_plugin as write

    plugin, test = write(family, name, folder)
    if json:
        print_json({"plugin": str(plugin), "test": str(test)})
    else:
        show(f"wrote {plugin} and {test}\nnext: qtha-lab check-plugin {plugin}")

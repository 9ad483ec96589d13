"""`qtha-lab check-plugin` and `new-plugin`: contract and first file of a plugin."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table
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
    from qtha_lab import testing

    verdicts = testing.check_plugin(plugin)
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


@app.command()
def trust(
    name: Annotated[
        str,
        typer.Argument(help="A run, comparison or sweep, by name or path; a federation's path."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Trust the present plugins of a folder that another user made, with its subfolders.

    Read the plugins first.
    """
    from qtha_lab.core.io import show
    from qtha_lab.experiment.run_directory.plugins import record_trust
    from qtha_lab.studies.launch import described_folder

    folder, described = described_folder(name)
    digests = record_trust(folder, described)
    if json:
        print_json(digests)
        raise typer.Exit
    if not digests:
        show(f"{folder.name} brings no code.")
        raise typer.Exit
    print_table([("trusted", "SHA-256"), *digests.items()])

"""`qtha-lab trust`: allow the code that a folder brings."""

from typing import Annotated

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_json, print_table


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
    from qtha_lab.studies.described_folder import described_folder

    folder, described = described_folder(name)
    digests = record_trust(folder, described)
    if json:
        print_json(digests)
        raise typer.Exit
    if not digests:
        show(f"{folder.name} brings no code.")
        raise typer.Exit
    print_table([("trusted", "SHA-256"), *digests.items()])

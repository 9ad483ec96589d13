"""`qtha-lab trust`: allow the code that a run brings."""

import typer

from qtha_lab.cli.application import app
from qtha_lab.cli.output import print_table
from qtha_lab.cli.run import RunId


@app.command()
def trust(run_id: RunId) -> None:
    """Trust the present plugins of a run that another user launched.

    Read the plugins first.
    """
    from qtha_lab.core.io import show
    from qtha_lab.experiment.run_directory.plugins import trust_plugins
    from qtha_lab.runs import run as runs

    run = runs.attach(run_id)
    digests = trust_plugins(run.files)
    if not digests:
        show(f"Run {run.id} brings no code.")
        raise typer.Exit
    print_table([("trusted", "SHA-256"), *digests.items()])

"""`qtha-lab bench soak`: the panels in use for an hour, in a browser."""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def soak(
    folder: Annotated[
        Path, typer.Argument(help="Takes the journal and the runs; goes on with one.")
    ],
    minutes: Annotated[float, typer.Option(min=0.1, help="Of use, sessions before counted.")] = 60,
    seed: Annotated[int, typer.Option(help="Of what is done.")] = 0,
    json: JsonFile = None,
) -> None:
    """Use workbench and explorers in a real JupyterLab by chance.

    Console errors, failures, growth of memory.
    """
    from benchmarks.soak import caption, soak, table

    with progress() as bars:
        bar = bars.add_task("soak", total=minutes, message="JupyterLab")

        def show(done: float, complaints: int) -> None:
            bars.update(bar, completed=done, message=f"{complaints} complaints")

        measured = soak(folder, minutes, seed, show)
    print_table(table(measured), caption=caption(measured))
    write_json(measured, json)

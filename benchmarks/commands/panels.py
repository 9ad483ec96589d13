"""`qtha-lab bench panels`: from a control to the changed figure, in a browser."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def panels(
    rounds: Annotated[int, typer.Option(min=1, help="Moves of every control.")] = 15,
    json: JsonFile = None,
) -> None:
    """Move a slider of every explorer in a real JupyterLab.

    Milliseconds until its figures are drawn again.
    """
    from benchmarks.machine import load_words
    from benchmarks.panels import bench_panels, caption, table

    with progress() as bars:
        bar = bars.add_task("panels", total=1, message="JupyterLab")
        measured = bench_panels(rounds, lambda name: bars.update(bar, message=name))
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"{caption(measured)}; {load}")
    write_json(measured, json)

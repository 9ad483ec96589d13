"""`qtha-lab bench opening`: from Run to the workbench in the page."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def opening(
    rounds: Annotated[int, typer.Option(min=1, help="Kernels that count.")] = 5,
    json: JsonFile = None,
) -> None:
    """Run the workbench's cell in kernels that have imported nothing.

    Seconds until its form is in the page.
    """
    from benchmarks.machine import load_words
    from benchmarks.opening import bench_opening, table

    with progress() as bars:
        bar = bars.add_task("opening", total=rounds + 1, message="JupyterLab")
        measured = bench_opening(rounds, lambda number: bars.update(bar, completed=number))
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"headless Chromium, {load}")
    write_json(measured, json)

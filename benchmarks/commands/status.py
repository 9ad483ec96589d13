"""`qtha-lab bench status`: how long the status of a long run takes."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table


def status(
    steps: Annotated[str, typer.Option(help="Lengths of the run.")] = "1000,10000,100000",
    json: JsonFile = None,
) -> None:
    """The status of a run that trains, by its length."""
    from benchmarks.long_runs import bench_status, table
    from benchmarks.machine import load_words

    measured = bench_status(whole_numbers(steps, "steps"))
    machine = measured["machine"]
    caption = f"medians, {machine['processor']}, {load_words(machine['load_before'])}"
    print_table(table(measured), caption=caption)
    write_json(measured, json)

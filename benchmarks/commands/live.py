"""`qtha-lab bench live`: what one more point of a long run costs a chart that shows it."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table


def live(
    steps: Annotated[str, typer.Option(help="Lengths of the run.")] = "1000,10000,100000",
    json: JsonFile = None,
) -> None:
    """One live point: milliseconds in the kernel and bytes to the page."""
    from benchmarks.long_runs import bench_live, table
    from benchmarks.machine import load_words

    measured = bench_live(whole_numbers(steps, "steps"))
    machine = measured["machine"]
    caption = f"medians, {machine['processor']}, {load_words(machine['load_before'])}"
    print_table(table(measured), caption=caption)
    write_json(measured, json)

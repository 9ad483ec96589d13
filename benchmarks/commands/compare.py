"""`qtha-lab bench compare`: how long a comparison takes to list runs that have all ended."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table


def compare(
    runs: Annotated[str, typer.Option(help="Of each comparison; multiples of 15.")] = "90,300",
    rounds: Annotated[int, typer.Option(min=2, help="Calls on each comparison.")] = 3,
    json: JsonFile = None,
) -> None:
    """What `compare` costs where every run has ended: its runs listed, and its summary."""
    from benchmarks.comparing import bench_compare, table
    from benchmarks.machine import load_words

    measured = bench_compare(whole_numbers(runs, "runs"), rounds)
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"medians of {rounds} calls, {load}")
    write_json(measured, json)

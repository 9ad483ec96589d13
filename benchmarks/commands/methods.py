"""`qtha-lab bench methods`: how long the table of methods takes, the first time and again."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table


def methods(
    rounds: Annotated[int, typer.Option(min=1, help="Calls after the first.")] = 5,
    json: JsonFile = None,
) -> None:
    """`qtha-lab methods` in processes of its own: with an empty cache, with what that call kept, and the libraries alone."""
    from benchmarks.machine import load_words
    from benchmarks.methods import bench_methods, table

    measured = bench_methods(rounds)
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"medians of {rounds} calls, {load}")
    write_json(measured, json)

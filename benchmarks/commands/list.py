"""`qtha-lab bench list`: how long the table of thousands of runs takes."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table


def list(
    runs: Annotated[int, typer.Option(min=1, help="Runs in the folder.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, help="Times that each stage is measured.")] = 5,
    json: JsonFile = None,
) -> None:
    """How long the table of thousands of runs takes, stage by stage, with the index and without."""
    from benchmarks.listing import bench_list, table

    figures = bench_list(runs, rounds)
    processor = figures["machine"]["processor"]
    print_table(table(figures), caption=f"{runs:,} runs, medians of {rounds}, {processor}")
    write_json(figures, json)

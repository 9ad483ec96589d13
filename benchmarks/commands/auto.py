"""`qtha-lab bench auto`: whether "auto" takes the fastest engine."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def auto(
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every engine in a case.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch; default its own.")] = None,
    json: JsonFile = None,
) -> None:
    """Every engine that "auto" may take, in turns, over a grid of sizes: how far its choice is from the fastest."""
    import torch

    from benchmarks.auto import bench_auto, caption, table

    torch.set_num_threads(threads or torch.get_num_threads())
    with progress() as bars:
        bar = bars.add_task("auto", total=1, message="")
        measured = bench_auto(rounds=rounds, on_case=lambda label: bars.update(bar, message=label))
    print_table(table(measured), caption=caption(measured))
    write_json(measured, json)

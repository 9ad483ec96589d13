"""`qtha-lab bench auto`: whether "auto" takes the fastest engine."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table, progress


def auto(
    qubits: Annotated[str, typer.Option(help="Sizes of the QTHA circuit.")] = "",
    layers: Annotated[str, typer.Option(help="Of the QTHA circuit.")] = "",
    batches: Annotated[str, typer.Option(help="Samples at once.")] = "",
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every engine in a case.")] = 5,
    threads: Annotated[int | None, typer.Option(min=1, help="Of torch; default its own.")] = None,
    json: JsonFile = None,
) -> None:
    """Every engine that "auto" may take, in turns, over a grid of sizes: how far its choice is from the fastest.

    Cases that would take long are left out, and the table says which.
    """
    import torch

    from benchmarks.auto import bench_auto, caption, table
    from benchmarks.machine import load_words

    asked = {"qubits": qubits, "layers": layers, "batches": batches}
    sizes = {name: whole_numbers(text, name) for name, text in asked.items() if text}
    torch.set_num_threads(threads or torch.get_num_threads())
    with progress() as bars:
        bar = bars.add_task("auto", total=1, message="")
        measured = bench_auto(
            **sizes, rounds=rounds, on_case=lambda label: bars.update(bar, message=label)
        )
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"{caption(measured)}; {load}")
    write_json(measured, json)

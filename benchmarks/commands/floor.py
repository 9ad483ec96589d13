"""`qtha-lab bench floor`: how much faster engine `cpu` can be at most."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table, progress


def floor(
    qubits: Annotated[str, typer.Option(help="Sizes of the QTHA circuit.")] = "4,6,8,10",
    layers: Annotated[int, typer.Option(min=1, help="Of the QTHA circuit.")] = 4,
    batches: Annotated[str, typer.Option(help="Samples at once.")] = "64,2048",
    threads: Annotated[int, typer.Option(min=1, help="Of torch and the engine.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns.")] = 15,
    json: JsonFile = None,
) -> None:
    """The engine's passes, angles and autograd as shares of whole calls: what no change around them takes away."""
    from benchmarks.floor import bench_floor, rows

    with progress() as bars:
        bar = bars.add_task("floor", total=1, message="")
        measured = bench_floor(
            qubits=whole_numbers(qubits, "qubits"),
            n_layers=layers,
            batches=whole_numbers(batches, "batches"),
            threads=threads,
            rounds=rounds,
            on_case=lambda label: bars.update(bar, message=label),
        )
    print_table(rows(measured), caption=f"{measured['machine']['processor']}, threads: {threads}")
    write_json(measured, json)

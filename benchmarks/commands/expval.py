"""`qtha-lab bench expval`: where the time of one small call of `expval_z` goes."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table


def expval(
    qubits: Annotated[int, typer.Option(min=1, help="Of the QTHA circuit.")] = 4,
    layers: Annotated[int, typer.Option(min=1, help="Of the QTHA circuit.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Samples at once.")] = 64,
    threads: Annotated[int, typer.Option(min=1, help="Of torch and the engine.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns.")] = 15,
    json: JsonFile = None,
) -> None:
    """One call of expval_z with gradients, and its parts."""
    from benchmarks.expval import bench_expval, rows

    measured = bench_expval(
        n_qubits=qubits, n_layers=layers, batch=batch, threads=threads, rounds=rounds
    )
    print_table(
        [("part", "µs"), *rows(measured)],
        caption=f"{qubits} qubits, {layers} layers, batch {batch}, medians of {rounds} turns, "
        f"{measured['machine']['processor']}, {threads} thread{'s' * (threads > 1)}",
    )
    write_json(measured, json)

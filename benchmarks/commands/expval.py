"""`qtha-lab bench expval`: where the time of one small call of `expval_z` goes."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table

ROWS = {
    "whole": "expval_z with gradients",
    "engine": "engine cpu's own work",
    "autograd": "autograd: a Function that computes nothing",
    "rest": "the rest: checks, the way in and out",
    "no_slopes": "expval_z without gradients",
    "graph": "with gradients, in a graph (aot_eager)",
}


def expval(
    qubits: Annotated[int, typer.Option(min=1, help="Of the QTHA circuit.")] = 4,
    layers: Annotated[int, typer.Option(min=1, help="Of the QTHA circuit.")] = 1,
    batch: Annotated[int, typer.Option(min=1, help="Samples at once.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns.")] = 15,
    json: JsonFile = None,
) -> None:
    """One call of expval_z with gradients, and its parts, on one thread."""
    from benchmarks.expval import bench_expval

    measured = bench_expval(n_qubits=qubits, n_layers=layers, batch=batch, rounds=rounds)
    rows = [(text, f"{measured['parts'][name]:.1f}") for name, text in ROWS.items()]
    print_table(
        [("part", "µs"), *rows],
        caption=f"{qubits} qubits, {layers} layers, batch {batch}, medians of {rounds} turns, "
        f"{measured['machine']['processor']}, 1 thread",
    )
    write_json(measured, json)

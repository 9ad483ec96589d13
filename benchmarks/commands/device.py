"""`qtha-lab bench device`: a QNode on `qtha.cpu` beside PennyLane's own devices."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, whole_numbers, write_json
from qtha_lab.cli.output import print_table, progress
from qtha_lab.runs.worker import use_threads


def device(
    qubits: Annotated[str, typer.Option(help="Sizes of the circuit.")] = "4,8,12",
    layers: Annotated[int, typer.Option(min=1, help="Of StronglyEntanglingLayers.")] = 2,
    batches: Annotated[str, typer.Option(help="Samples of a call.")] = "1,64",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of all three; all cores where left out.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each device.")] = 11,
    json: JsonFile = None,
) -> None:
    """A QNode on qtha.cpu, default.qubit and lightning.qubit, in turns: values, and values with gradients."""
    use_threads(threads)  # before torch is imported
    from benchmarks.device import bench_device, caption, rows

    with progress() as bars:
        bar = bars.add_task("device", total=1, message="")
        measured = bench_device(
            qubits=whole_numbers(qubits, "qubits"), n_layers=layers, batches=whole_numbers(batches, "batches"),
            rounds=rounds,
            on_case=lambda done, of, label: bars.update(bar, completed=done, total=of, message=label),
        )  # fmt: skip
    print_table(rows(measured), caption=caption(measured))
    write_json(measured, json)

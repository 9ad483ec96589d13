"""`qtha-lab bench start`.

How long until a run's first point, and what it costs beside its steps.
"""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress
from qtha_lab.core.call_syntax import split_list


def start(
    model: Annotated[str, typer.Option(help="The base model.")] = "tiny",
    methods: Annotated[str, typer.Option(help="Each is launched cold and warm.")] = "lora,qtha",
    steps: Annotated[int, typer.Option(min=1, help="Of every run.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each method and start.")] = 3,
    json: JsonFile = None,
) -> None:
    """From the launch to the first live point, and processor seconds by phase, cold and warm."""
    from benchmarks.machine import load_words
    from benchmarks.start import bench_start, caption, table

    with progress() as bars:
        bar = bars.add_task(
            "start", total=2 * rounds * len(split_list(methods)), message="the server"
        )
        measured = bench_start(
            model, split_list(methods), steps=steps, rounds=rounds,
            on_run=lambda done, label: bars.update(bar, completed=done, message=label),
        )  # fmt: skip
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"{caption(measured)}, {load}")
    write_json(measured, json)

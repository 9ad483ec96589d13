"""`qtha-lab bench predictions`: how far predicted times are from real ones."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def predictions(
    model: Annotated[str, typer.Option(help="The base model of the training steps.")] = "tiny",
    rounds: Annotated[int, typer.Option(min=1, help="Predictions of each case.")] = 5,
    json: JsonFile = None,
) -> None:
    """How far predicted times are from real ones, for circuits and for training steps."""
    from benchmarks.predictions import bench_predictions

    with progress() as bars:
        bar = bars.add_task("predictions", total=1, message="")
        measured = bench_predictions(
            model=model, rounds=rounds, on_case=lambda label: bars.update(bar, message=label)
        )
    rows = [
        (case["label"], f"{min(case['real']):.3g}", f"{case['ratio']:.2f}")
        for case in measured["cases"]
    ]
    print_table(
        [("case", "real, s", "predicted / real"), *rows],
        caption=f"medians of {rounds} rounds, {measured['machine']['processor']}",
    )
    write_json(measured, json)

"""`qtha-lab bench eval`: what scoring a model costs, against every logit of rows as they come."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress


def eval(
    model: Annotated[str, typer.Option(help="The base model.")] = "tiny",
    task: Annotated[str, typer.Option(help="Whose evaluation rows.")] = "qa",
    rows: Annotated[int, typer.Option(min=1, help="Evaluation rows.")] = 128,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows in a batch.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each way.")] = 5,
    json: JsonFile = None,
) -> None:
    """An evaluation and a training step, by length and at answers, against every row and logit in order."""
    from benchmarks.evaluation import bench_evaluation, caption, table
    from benchmarks.machine import load_words

    with progress() as bars:
        bar = bars.add_task(f"{task} on {model}", total=1, message="warming up")
        measured = bench_evaluation(
            model, task, rows=rows, batch_size=batch_size, rounds=rounds,
            on_round=lambda done, of: bars.update(bar, completed=done, total=of, message=""),
        )  # fmt: skip
    load = load_words(measured["machine"]["load_before"])
    print_table(table(measured), caption=f"{caption(measured)}, {load}")
    write_json(measured, json)

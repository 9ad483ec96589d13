"""`qtha-lab bench eval`: what scoring a model costs, against every logit of rows as they come."""

import os
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
    from benchmarks.evaluation import bench_evaluation

    with progress() as bars:
        bar = bars.add_task(f"{task} on {model}", total=1, message="warming up")
        measured = bench_evaluation(
            model, task, rows=rows, batch_size=batch_size, rounds=rounds,
            on_round=lambda done, of: bars.update(bar, completed=done, total=of, message=""),
        )  # fmt: skip
    tokens, machine = measured["tokens"], measured["machine"]
    print_table(
        [
            ("what", "ms, in order", "ms", "times faster", "losses differ by"),
            *(
                (
                    case["label"],
                    f"{case['plain_seconds'] * 1000:,.0f}",
                    f"{case['seconds'] * 1000:,.0f}",
                    f"{case['ratio']:.2f}",
                    f"{case['loss_difference']:.0e}",
                )
                for case in measured["cases"]
            ),
        ],
        caption=f"{rows} rows, {tokens['real']:,} tokens: {tokens['padded_in_order']:,} with padding in order, "
        f"{tokens['padded_by_length']:,} by length; {tokens['labels']:,} labels; medians of {rounds} rounds, "
        f"{machine['processor']}, {machine['torch_threads']} threads, load {os.getloadavg()[0]:.1f}",
    )
    write_json(measured, json)

"""`qtha-lab check-data`: kind, columns, split, labels and lengths of data before any training."""

import dataclasses
from typing import Annotated

import typer

from qtha_lab.cli.output import app, print_json, print_table, print_text
from qtha_lab.core.call_syntax import parse_options
from qtha_lab.core.io import show


@app.command("check-data")
def check_data_command(
    data: Annotated[str, typer.Argument(help="A file, folder, data set id or task.")],
    model: Annotated[str, typer.Option(help="Base model, whose tokenizer counts.")] = "tiny",
    max_length: Annotated[int, typer.Option(min=8, help="Cut-off in tokens.")] = 128,
    task_options: Annotated[
        str, typer.Option(help="Options such as prompt=frage,response=antwort.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show kind, columns, split, labels, lengths and three encoded rows of own data."""
    from qtha_lab.experiment.check_data import SHOWN_LABELS, check_data

    options = parse_options(task_options)
    report = check_data(data, model=model, max_length=max_length, **options)
    if json:
        print_json(dataclasses.asdict(report))
        return
    print_table([("data", report.name), *report.facts()])
    if report.labels:
        rows = [(label, *map(str, counts)) for label, counts in report.labels.items()]
        caption = f"{len(rows) - SHOWN_LABELS:,} more labels" if len(rows) > SHOWN_LABELS else ""
        heading = ("label", "training", "evaluation", "test")
        print_table([heading, *rows[:SHOWN_LABELS]], caption)
    for number, example in enumerate(report.examples, 1):
        show(f"Row {number} as the model sees it: {example}")
    for sentence in report.notes:
        print_text(f"Note: {sentence}")
    for sentence in report.advice:
        print_text(f"Advice: {sentence}")

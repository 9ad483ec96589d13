"""`qtha-lab bench`: the project's own measurements, as ratios inside one process."""

import json as json_
from pathlib import Path
from typing import Annotated

import typer

from qtha_lab.calls import split_list
from qtha_lab.cli import app
from qtha_lab.cli.output import print_table, progress

bench = typer.Typer(help="Measure; each table names its machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")

JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write all figures here.")]


@bench.callback()
def group() -> None:
    """Measure; each table names its machine."""


@bench.command()
def step(
    model: Annotated[str, typer.Option(help="The base model.")] = "smollm2-135m",
    methods: Annotated[
        str, typer.Option(help="The first is the reference of the ratios.")
    ] = "lora(r=8),qtha(r=8)",
    batch_size: Annotated[int, typer.Option(min=1, help="Rows a step.")] = 4,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens a row.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each method.")] = 9,
    json: JsonFile = None,
) -> None:
    """The time and memory of one training step, QTHA against LoRA, taking turns."""
    from qtha_lab.bench.step import bench_step
    from qtha_lab.experiment import MethodChoice

    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    with progress() as bars:
        bar = bars.add_task(f"step on {model}", total=rounds, said="warming up")
        measured = bench_step(
            model, choices, batch_size=batch_size, tokens=tokens, rounds=rounds,
            on_round=lambda done, of: bars.update(bar, completed=done, said=""),
        )  # fmt: skip
    rows = [
        (
            entry["label"],
            f"{entry['trainable_parameters']:,}",
            f"{entry['seconds'] * 1000:,.0f}",
            f"{entry['time_ratio']:.2f}",
            f"{(entry['peak_memory_bytes'] or 0) / 2**20:,.0f}",
            f"{entry['memory_ratio'] or 0:.2f}",
        )
        for entry in measured["methods"]
    ]
    machine = measured["machine"]
    print_table(
        [("method", "parameters", "ms a step", "time ratio", "peak MiB", "memory ratio"), *rows],
        caption=f"{batch_size} × {tokens} tokens, medians of {rounds} rounds, {machine['processor']}, "
        f"{machine['torch_threads']} threads",
    )
    if json:
        json.parent.mkdir(parents=True, exist_ok=True)
        json.write_text(json_.dumps(measured, indent=2) + "\n")

"""`qtha-lab bench step`: what a training step costs, method against method."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress
from qtha_lab.core.call_syntax import split_list
from qtha_lab.runs.worker import use_threads


def step(
    model: Annotated[str, typer.Option(help="The base model.")] = "smollm2-135m",
    methods: Annotated[
        str, typer.Option(help="The first is the reference of the ratios.")
    ] = "lora(r=8),qtha(r=8)",
    batch_size: Annotated[int, typer.Option(min=1, help="Rows per step.")] = 4,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens per row.")] = 64,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each method.")] = 9,
    clock: Annotated[str, typer.Option(help="wall, or cpu: of all threads.")] = "wall",
    threads: Annotated[
        int | None, typer.Option(min=1, help="Of torch and the kernel; all cores where left out.")
    ] = None,
    parts: Annotated[
        bool,
        typer.Option(help="Take steps apart: layers, circuits, tensor networks, the rest."),
    ] = False,
    json: JsonFile = None,
) -> None:
    """The time and memory of one training step, QTHA against LoRA, taking turns."""
    use_threads(threads)  # as a worker, before torch is imported
    from benchmarks.step import bench_step
    from benchmarks.turns import ratio
    from qtha_lab.experiment import MethodChoice

    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    with progress() as bars:
        bar = bars.add_task(f"step on {model}", total=rounds, message="warming up")
        measured = bench_step(
            model,
            choices,
            batch_size=batch_size,
            tokens=tokens,
            rounds=rounds,
            clock=clock,
            parts=parts,
            on_round=lambda done, of: bars.update(bar, completed=done, message=""),
        )
    rows = [
        (
            entry["label"],
            f"{entry['trainable_parameters']:,}",
            f"{entry['seconds'] * 1000:,.0f}",
            ratio(entry),
            f"{(entry['peak_memory_bytes'] or 0) / 2**20:,.0f}",
            f"{entry['memory_ratio'] or 0:.2f}",
        )
        for entry in measured["methods"]
    ]
    machine = measured["machine"]
    print_table(
        [("method", "parameters", "ms per step", "time ratio", "peak MiB", "memory ratio"), *rows],
        caption=(
            f"{batch_size} × {tokens} tokens, medians of {rounds} rounds, {machine['processor']}, "
            f"{machine['torch_threads']} threads, {clock} time"
        ),
    )
    if parts:
        from benchmarks.step_parts import markdown

        typer.echo(markdown(measured))
    write_json(measured, json)

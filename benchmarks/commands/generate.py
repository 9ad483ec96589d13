"""`qtha-lab bench generate`: what an answer costs, method against method."""

from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.cli.output import print_table, progress
from qtha_lab.core.call_syntax import split_list
from qtha_lab.runs.worker import use_threads


def generate(
    model: Annotated[str, typer.Option(help="The base model.")] = "smollm2-135m",
    methods: Annotated[
        str, typer.Option(help="The first is the reference of the ratios.")
    ] = "lora(r=8),qtha(r=8)",
    batch_size: Annotated[int, typer.Option(min=1, help="Answers at once.")] = 1,
    prompt: Annotated[int, typer.Option(min=1, help="Tokens read.")] = 16,
    tokens: Annotated[int, typer.Option(min=1, help="Tokens written.")] = 32,
    rounds: Annotated[int, typer.Option(min=1, help="Counted turns of each method.")] = 9,
    clock: Annotated[str, typer.Option(help="wall, or cpu: of all threads.")] = "wall",
    json: JsonFile = None,
) -> None:
    """The time of an answer, QTHA against LoRA, taking turns."""
    use_threads()  # as a worker, before torch is imported
    from benchmarks.generate import bench_generate
    from benchmarks.turns import ratio
    from qtha_lab.experiment import MethodChoice

    choices = [MethodChoice.parse(text) for text in split_list(methods)]
    with progress() as bars:
        bar = bars.add_task(f"answers of {model}", total=rounds, message="warming up")
        measured = bench_generate(
            model, choices, batch_size=batch_size, prompt=prompt, tokens=tokens, rounds=rounds, clock=clock,
            on_round=lambda done, of: bars.update(bar, completed=done, message=""),
        )  # fmt: skip
    rows = [
        (
            entry["label"],
            f"{entry['seconds'] * 1000 / tokens:,.1f}",
            ratio(entry),
        )
        for entry in measured["methods"]
    ]
    machine = measured["machine"]
    print_table(
        [("method", "ms per token", "time ratio"), *rows],
        caption=f"{batch_size} × {tokens} tokens after {prompt}, medians of {rounds} rounds, "
        f"{machine['processor']}, {machine['torch_threads']} threads, {clock} time",
    )
    write_json(measured, json)

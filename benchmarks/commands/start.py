"""`qtha-lab bench start`: how long until a run's first point, and what it costs beside its steps."""

import os
import statistics
from typing import Annotated

import typer

from benchmarks.reporting import JsonFile, write_json
from qtha_lab.calls import split_list
from qtha_lab.cli.output import print_table, progress


def start(
    model: Annotated[str, typer.Option(help="The base model.")] = "tiny",
    methods: Annotated[str, typer.Option(help="Each is launched cold and warm.")] = "lora,qtha",
    steps: Annotated[int, typer.Option(min=1, help="Of every run.")] = 5,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each method and start.")] = 3,
    json: JsonFile = None,
) -> None:
    """From the launch to the first live point, and processor seconds by phase, cold and warm."""
    from benchmarks.start import PHASES, bench_start

    with progress() as bars:
        bar = bars.add_task(
            "start", total=2 * rounds * len(split_list(methods)), message="the server"
        )
        measured = bench_start(
            model, split_list(methods), steps=steps, rounds=rounds,
            on_run=lambda done, label: bars.update(bar, completed=done, message=label),
        )  # fmt: skip
    groups: dict[tuple[str, str], list[dict]] = {}
    for run in measured["runs"]:
        groups.setdefault((run["method"], run["start"]), []).append(run)

    def median(runs: list[dict], figure) -> float:
        return statistics.median(map(figure, runs))

    rows = [
        (
            method,
            how,
            f"{median(runs, lambda run: run['first_point']):.1f}",
            f"{median(runs, lambda run: run['first_point_cpu']):.1f}",
            *(
                f"{median(runs, lambda run, phase=phase: run['cpu'].get(phase, 0)):.2f}"
                for phase in PHASES
            ),
            f"{median(runs, beside_training):.1f}",
            f"{median(runs, training_share):.0%}",
        )
        for (method, how), runs in groups.items()
    ]
    machine = measured["machine"]
    print_table(
        [
            ("method", "start", "first point, s", "CPU s", *PHASES, "overhead", "training"),
            *rows,
        ],
        caption=f"{model}, {steps} steps, medians of {rounds} runs; phases in CPU seconds; overhead: all but training "
        f"and evaluation; training: its share of the wall; {machine['processor']}, load {os.getloadavg()[0]:.1f}",
    )
    write_json(measured, json)


def beside_training(run: dict) -> float:
    """CPU seconds of everything that is neither training nor evaluation."""
    return sum(s for phase, s in run["cpu"].items() if phase not in ("training", "evaluation"))


def training_share(run: dict) -> float:
    """Training's share of the time from the launch to the end."""
    return run["wall"].get("training", 0.0) / sum(run["wall"].values())

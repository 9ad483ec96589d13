"""Parameters, memory and seconds that are predicted before a launch, beside those of real runs.

A run trains alone, as a launch from the page; its summary holds the measured numbers.
"""

import os
import tempfile
from typing import Any
from unittest.mock import patch

from benchmarks.machine import conditions
from benchmarks.reporting import Row, Show, Table, unseen
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.cost.preview import preview
from qtha_lab.experiment.cost.sizes import sizes
from qtha_lab.runs.launch import launch

QUANTITIES = {"parameters": "trainable_parameters", "bytes": "peak_memory_bytes"}
QUANTITIES |= {"seconds": "seconds_per_step"}  # by their names in the summary of a run


def bench_predicted(
    models: tuple[str, ...] = ("tiny", "smollm2-135m"),
    methods: tuple[str, ...] = ("lora(r=8)", "qtha", "quanta", "quantum_peft"),
    steps: int = 12,
    show: Show = unseen,
) -> dict[str, Any]:
    """Compare predicted parameters, memory and seconds per step with those of short runs.

    Args:
        models: Base models.
        methods: Methods to train on each model.
        steps: Steps of every run.
        show: Called before each run with its number, the number of all, and its label.
    """
    before, entries = conditions(), []
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        patch.dict(os.environ, QTHA_LAB_RUNS=folder, QTHA_LAB_SLOTS="1"),
    ):
        for model in models:
            for method in methods:
                show(len(entries), len(models) * len(methods), f"{method} on {model}")
                entries.append({"model": model, "method": method} | _compared(model, method, steps))
    return {"benchmark": "predicted", **before, "steps": steps, "runs": entries}


def _compared(model: str, method: str, steps: int) -> dict[str, Any]:
    training = {"steps": steps, "eval_every": steps, "eval_rows": 4, "test_rows": 4}
    experiment = Experiment(model=model, method=method, training=training)
    needs, cost = sizes(experiment), preview(experiment)
    run = launch(experiment)
    run.wait()
    if run.status().state != "finished":
        raise RuntimeError(f"{method} on {model}: {run.status().message}")
    summary = run.summary or {}
    return {
        "predicted": {
            "parameters": cost.trainable_parameters,
            "bytes": needs.bytes,
            "seconds": cost.seconds_per_step,
        },
        "measured": {name: summary[key] for name, key in QUANTITIES.items()},
    }


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per model and method: predicted and measured values and their ratio."""
    caption = f"predicted before the launch / measured in {figures['steps']} steps"
    heading = ("model", "method", "parameters", "ratio", "MiB", "ratio", "ms per step", "ratio")
    return [(caption, [heading, *map(_row, figures["runs"])])]


def _row(entry: dict[str, Any]) -> Row:
    forms = {
        "parameters": (1, "{:,.0f}"),
        "bytes": (2**-20, "{:,.0f}"),
        "seconds": (1e3, "{:,.0f}"),
    }
    cells = []
    for name, (unit, form) in forms.items():
        predicted, measured = (entry[kind][name] for kind in ("predicted", "measured"))
        cells += [f"{form.format(unit * predicted)} / {form.format(unit * measured)}"]
        cells += [f"{predicted / measured:.2f}"]
    return (entry["model"], f"`{entry['method']}`", *cells)

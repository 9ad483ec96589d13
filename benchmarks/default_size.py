"""QTHA at its default size against the frozen model and LoRA r = 2.

Each method is tuned over four rates on the evaluation rows of one seed. The best rate is trained
with three fresh seeds. Finished runs are kept, so an interrupted command continues.
"""

import json
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.machine import conditions
from benchmarks.reporting import Table
from qtha_lab.core.errors import Refusal
from qtha_lab.experiment import Comparison, MethodChoice
from qtha_lab.studies import comparison as compare
from qtha_lab.tasks import load_task

RATES, TUNED_ON, SEEDS = [0.001, 0.003, 0.01, 0.03], 1000, [0, 1, 2]
METHODS = ["lora(r=2)", "qtha"]
TWO_CLASSES = ("noun.animal", "noun.artifact")
TRAINING = {
    "spectrum_every": 0,
    "generate_rows": 0,
    "eval_rows": 128,
    "test_rows": 256,
    "threads": 1,
}
# model, task and training by name; without a task, the file of two classes
CASES: dict[str, dict[str, Any]] = {
    "tiny/qa": {"model": "tiny", "task": "qa", "steps": 60},
    "smollm2-135m/qa": {
        "model": "smollm2-135m", "task": "qa", "steps": 20, "batch_size": 4, "eval_rows": 64,
        "test_rows": 128, "precision": "bfloat16",
    },
    "minilm/supersense": {
        "model": "minilm", "task": "supersense", "steps": 150, "head_learning_rate": 0.01,
    },
    "minilm/two classes": {"model": "minilm", "steps": 40},
}  # fmt: skip


def write_two_classes(path: Path) -> Path:
    """Write a task file: definitions of animals and of artefacts, from the task supersense."""
    task = load_task("supersense", train_rows=None)
    rows = [
        {"text": row["text"], "label": row["label"].removeprefix("noun.")}
        for row in task.train
        if row["label"] in TWO_CLASSES
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def comparison_of(name: str, folder: Path) -> Comparison:
    """Return the comparison of a case; its task file is written to the folder."""
    case = dict(CASES[name])
    model, task = case.pop("model"), case.pop("task", None)
    task = task or str(write_two_classes(folder / "two-classes.jsonl"))
    every = {"eval_every": case["steps"], "checkpoint_every": case["steps"]}
    return Comparison(
        model=model,
        task=task,
        methods=METHODS,
        seeds=SEEDS,
        tuning={"axes": {"learning_rate": RATES}, "seeds": [TUNED_ON]},
        training=TRAINING | every | case,
    )


def bench_default_size(folder: Path, cases: Iterable[str] = tuple(CASES)) -> dict[str, Any]:
    """Run the missing runs of every case, and return one of `rows` per case and method."""
    cases = list(cases)
    if wrong := [name for name in cases if name not in CASES]:
        raise Refusal(f"cases must be among {', '.join(CASES)}, got {', '.join(wrong)}.")
    measured, before = [], conditions()
    for name in cases:
        place = folder / name.replace("/", "-").replace(" ", "-")
        summary = compare.run(comparison_of(name, place), place)
        measured += [{"case": name, **row} for row in _rows(summary)]
    return {"benchmark": "default-size", **before, "rows": measured}


def _rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    by_method: dict[str, list[dict[str, Any]]] = {}
    for entry in summary["runs"]:
        if entry["state"] == "finished":
            by_method.setdefault(entry["label"], []).append(entry)
    return [
        {
            "method": MethodChoice.parse(label).replace(learning_rate=None).label,
            "trainable": entries[0]["trainable_parameters"],
            "rate": entries[0]["learning_rate"],
            "seeds": len(entries),
            "frozen": _mean(entries, "eval_loss_start"),
            "eval_loss": _mean(entries, "eval_loss"),
            "test_loss": _mean(entries, "test_loss"),
            "accuracy": _mean(entries, "accuracy"),
        }
        for label, entries in by_method.items()
    ]


def _mean(entries: list[dict[str, Any]], name: str) -> float | None:
    values = [entry[name] for entry in entries if entry.get(name) is not None]
    return statistics.fmean(values) if values else None


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per case and method; losses in nats, means over the seeds."""
    rates, seeds = ", ".join(f"{rate:g}" for rate in RATES), ", ".join(map(str, SEEDS))
    caption = (
        f"The rate of each method is the best of {rates} on the evaluation rows of seed {TUNED_ON};"
        f" seeds {seeds} confirm it. Losses are in nats."
    )
    losses = ("frozen", "eval_loss", "test_loss", "accuracy")
    heading = (
        "case", "method", "parameters", "rate", "seeds", "frozen, eval. loss", "eval. loss",
        "test loss", "accuracy",
    )  # fmt: skip
    body = [
        (
            row["case"], f"`{row['method']}`", f"{row['trainable']:,}", f"{row['rate']:g}",
            str(row["seeds"]),
            *("" if row[name] is None else f"{row[name]:.3f}" for name in losses),
        )
        for row in figures["rows"]
    ]  # fmt: skip
    return [(caption, [heading, *body])]

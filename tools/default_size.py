"""QTHA at its default size against the frozen model and LoRA r = 2.

Each method is tuned over four rates on the evaluation rows of one seed. The best rate is trained
with three fresh seeds. Finished runs are kept, so an interrupted command continues.
"""

import json
import statistics
from collections import defaultdict
from pathlib import Path
from typing import Any

import yaml

from benchmarks.machine import conditions
from benchmarks.reporting import Show, Table, unseen
from qtha_lab.core.settings import unknown
from qtha_lab.experiment import Comparison, MethodChoice
from qtha_lab.studies import comparison
from qtha_lab.tasks import load_task

DECLARED = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = DECLARED["cases"]
TWO_CLASSES = ("noun.animal", "noun.artifact")
MEANS = ("eval_loss_start", "eval_loss", "test_loss", "accuracy")


def write_two_classes(path: Path) -> Path:
    """Write a task file: definitions of animals and of artefacts, from the task supersense."""
    rows = [
        {"text": row["text"], "label": row["label"].removeprefix("noun.")}
        for row in load_task("supersense", train_rows=None).train
        if row["label"] in TWO_CLASSES
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def comparison_of(name: str, folder: Path) -> Comparison:
    """Return the comparison of a case; its task file is written to the folder."""
    every, case = DECLARED["every"], dict(CASES[name])
    if case["task"].endswith(".jsonl"):
        case["task"] = str(write_two_classes(folder / case["task"]))
    steps = case["training"]["steps"]
    ends = {"eval_every": steps, "checkpoint_every": steps}
    return Comparison(**every | case | {"training": every["training"] | ends | case["training"]})


def bench_default_size(
    out: Path = Path("out/default-size"), cases: tuple[str, ...] = (), show: Show = unseen
) -> dict[str, Any]:
    """Compare QTHA at its default size with the frozen model and LoRA r = 2.

    Args:
        out: Folder of the runs.
        cases: Names of cases; all by default.
        show: Called with the number of finished cases, of all, and the current case.
    """
    for name in (cases := list(cases or CASES)):
        if name not in CASES:
            raise unknown("case", name, CASES)
    measured, before = [], conditions()
    for done, name in enumerate(cases):
        show(done, len(cases), name)
        place = out / name.replace("/", "-").replace(" ", "-")
        summary = comparison.run_comparison(comparison_of(name, place), place)
        measured += [{"case": name, **row} for row in _rows(summary)]
    return {"benchmark": "default-size", **before, "rows": measured}


def _rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    by_method: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in summary["runs"]:
        if entry["state"] == "finished":
            by_method[entry["label"]].append(entry)
    return [
        {
            "method": MethodChoice.parse(label).replace(learning_rate=None).label,
            "trainable": entries[0]["trainable_parameters"],
            "rate": entries[0]["learning_rate"],
            "seeds": len(entries),
            **{name: _mean(entries, name) for name in MEANS},
        }
        for label, entries in by_method.items()
    ]


def _mean(entries: list[dict[str, Any]], name: str) -> float | None:
    values = [entry[name] for entry in entries if entry.get(name) is not None]
    return statistics.fmean(values) if values else None


def tables(figures: dict[str, Any]) -> list[Table]:
    """Return a row per case and method; losses in nats, means over the seeds."""
    tuning, seeds = DECLARED["every"]["tuning"], DECLARED["every"]["seeds"]
    rates = ", ".join(f"{rate:g}" for rate in tuning["axes"]["learning_rate"])
    caption = (
        f"The rate of each method is the best of {rates} on the evaluation rows of seed"
        f" {tuning['seeds'][0]}; seeds {', '.join(map(str, seeds))} confirm it. Losses are in nats."
    )
    heading = ("case", "method", "parameters", "rate", "seeds")
    losses = ("frozen, eval. loss", "eval. loss", "test loss", "accuracy")
    body = []
    for row in figures["rows"]:
        sizes = f"{row['trainable']:,}", f"{row['rate']:g}", str(row["seeds"])
        means = ("" if row[name] is None else f"{row[name]:.3f}" for name in MEANS)
        body.append((row["case"], f"`{row['method']}`", *sizes, *means))
    return [(caption, [(*heading, *losses), *body])]

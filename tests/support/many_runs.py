"""Thousands of finished run directories in seconds, for tests and benches of lists.

No model was trained: descriptions differ in method, learning rate and seed, and losses are random.
"""

import dataclasses
import json
import random
from pathlib import Path

from qtha_lab.experiment import Comparison, Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.index import Index
from qtha_lab.experiment.run_directory.record import Record, read_record, stamp

METHODS = ("lora(r=2)", "lora(r=8)", "qtha(r=4,waist=16)", "qtha(r=8,waist=64)")
RATES = (0.001, 0.003, 0.01, 0.03, 0.1)
SEEDS = 5


def make_runs(folder: Path, count: int) -> list[str]:
    """Make finished runs and their index, and return their names, oldest first."""
    chance, records = random.Random(0), {}
    patterns: dict[tuple, tuple[str, Record]] = {}
    for number in range(count):
        method = METHODS[number // SEEDS // len(RATES) % len(METHODS)]
        rate, seed = RATES[number // SEEDS % len(RATES)], number % SEEDS
        loss = round(4 + abs(chance.gauss(0, 0.3)) + abs(rate - 0.01), 4)
        hour, minute, second = number // 3600, number // 60 % 60, number % 60
        day = f"20261125-{hour:02d}{minute:02d}{second:02d}"
        name = f"{day}-tiny-qa-{method[:4]}-s{seed}-{number:04x}"
        files = RunDir(folder / name)
        files.path.mkdir(parents=True)
        key = method, rate, seed
        text = patterns[key][0] if key in patterns else _description(*key)
        files.experiment_file.write_text(text)
        summary = _write_results(files, loss, learning_rate=rate)
        if key not in patterns:
            patterns[key] = text, read_record(files)
        now = {"stamp": stamp(files.path), "summary": summary}
        records[name] = dataclasses.replace(patterns[key][1], **now)
    Index(folder).add(records, records)
    return list(records)


def make_comparison(comparison: Comparison, folder: Path) -> None:
    """Make the finished runs of a comparison in its folder."""
    chance = random.Random(0)
    for experiment in comparison.experiments():
        files, method = RunDir.create(experiment, folder / "runs"), experiment.method
        loss = round(4 + abs(chance.gauss(0, 0.3)), 4)
        _write_results(
            files, loss, run_id=files.path.name, model=experiment.model, task=experiment.task,
            method=method.name, label=method.label, seed=experiment.seed, eval_loss_start=6.0,
            learning_rate=method.learning_rate, test_loss=loss + 0.1, peak_memory_bytes=2**29,
            seconds_per_step=0.5,
        )  # fmt: skip


def _write_results(files: RunDir, loss: float, **more: object) -> dict[str, object]:
    """Write events and the summary of a run of twenty steps."""
    events: list[dict] = [{"t": 1.0, "state": "running", "step": 0}]
    events += [
        {"t": 1.0 + s, "kind": "train", "step": s, "loss": loss + 1 / s, "learning_rate": 0.01,
         "seconds": 0.5}
        for s in range(1, 21)
    ]  # fmt: skip
    events.append({"t": 29.0, "kind": "eval", "step": 20, "loss": loss})
    events.append({"t": 30.0, "state": "finished", "step": 20})
    status = {"kind": "status", "message": ""}
    lines = [json.dumps(event if "kind" in event else status | event) for event in events]
    files.events.write_text("\n".join(lines) + "\n")
    summary = {
        "state": "finished", "steps": 20, "trainable_parameters": 7680, "eval_loss": loss,
        "train_loss": loss - 0.1, "wall_seconds": 12.5, "adapter_bytes": 31_000, **more,
    }  # fmt: skip
    files.summary.write_text(json.dumps(summary))
    return summary


def _description(method: str, rate: float, seed: int) -> str:
    with_rate = method.replace(")", f",learning_rate={rate})")
    return Experiment(method=with_rate, seed=seed, steps=20).to_yaml()

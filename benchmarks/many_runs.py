"""Thousands of run directories in seconds, as workers leave them, for whoever measures or tests
lists of runs.

They trained nothing: descriptions differ in method, learning rate and seed, and results are drawn
from a seeded chance.
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
    """Make finished runs, and the index that reading them all once would leave.

    Returns:
        Their names, oldest first.
    """
    chance, records = random.Random(0), {}
    patterns: dict[tuple, tuple[str, Record]] = {}
    for number in range(count):
        method = METHODS[number // SEEDS // len(RATES) % len(METHODS)]
        rate, seed = RATES[number // SEEDS % len(RATES)], number % SEEDS
        loss = round(4 + abs(chance.gauss(0, 0.3)) + abs(rate - 0.01), 4)
        summary = {
            "state": "finished",
            "steps": 20,
            "trainable_parameters": 7680,
            "learning_rate": rate,
            "eval_loss": loss,
            "train_loss": loss - 0.1,
            "wall_seconds": 12.5,
            "adapter_bytes": 31_000,
        }
        name = f"20261125-{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}-tiny-qa-{method[:4]}-s{seed}-{number:04x}"
        files = RunDir(folder / name)
        files.path.mkdir(parents=True)
        key = method, rate, seed
        text = patterns[key][0] if key in patterns else _described(*key)
        files.experiment_file.write_text(text)
        files.events.write_text(_events(loss))
        files.summary.write_text(json.dumps(summary))
        if key not in patterns:
            patterns[key] = text, read_record(files)
        records[name] = dataclasses.replace(
            patterns[key][1], stamp=stamp(files.path), summary=summary
        )
    Index(folder).add(records, records)
    return list(records)


def make_comparison(comparison: Comparison, folder: Path) -> None:
    """Make the finished runs of a comparison in its folder, as `compare` finds them where all have
    ended.
    """
    chance = random.Random(0)
    for experiment in comparison.experiments():
        files, method = RunDir.create(experiment, folder / "runs"), experiment.method
        loss = round(4 + abs(chance.gauss(0, 0.3)), 4)
        files.events.write_text(_events(loss))
        summary = {
            "run_id": files.path.name,
            "model": experiment.model,
            "task": experiment.task,
            "method": method.name,
            "label": method.label,
            "seed": experiment.seed,
            "state": "finished",
            "steps": 20,
            "trainable_parameters": 7680,
            "learning_rate": method.learning_rate,
            "eval_loss_start": 6.0,
            "eval_loss": loss,
            "test_loss": loss + 0.1,
            "train_loss": loss - 0.1,
            "wall_seconds": 12.5,
            "peak_memory_bytes": 2**29,
            "adapter_bytes": 31_000,
            "seconds_per_step": 0.5,
        }
        files.summary.write_text(json.dumps(summary))


def _described(method: str, rate: float, seed: int) -> str:
    with_rate = method.replace(")", f",learning_rate={rate})")
    return Experiment(method=with_rate, seed=seed, steps=20).to_yaml()


def _events(loss: float) -> str:
    train = [
        {
            "t": 1.0 + s,
            "kind": "train",
            "step": s,
            "loss": loss + 1 / s,
            "learning_rate": 0.01,
            "seconds": 0.5,
        }
        for s in range(1, 21)
    ]
    ends = [("running", 0, 1.0), ("finished", 20, 30.0)]
    begin, end = (
        {"t": t, "kind": "status", "state": state, "step": step, "message": ""}
        for state, step, t in ends
    )
    measured = {"t": 29.0, "kind": "eval", "step": 20, "loss": loss}
    return "".join(json.dumps(event) + "\n" for event in [begin, *train, measured, end])

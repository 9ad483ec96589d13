"""Run directories and comparisons as workers leave them, made without training."""

import dataclasses
import json
import random
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from qtha_lab.experiment import Comparison, Experiment, MethodChoice, Training
from qtha_lab.experiment.run_directory import RunDir, write_atomically, write_json
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.experiment.run_directory.index import Index
from qtha_lab.experiment.run_directory.record import Record, read_record, stamp
from qtha_lab.runs import run
from qtha_lab.studies.comparison.results_of_runs import summarise_runs


def run_folder(folder, method="lora", seed=0, name="", **training):
    """A folder of a run that has not begun.

    A method such as qtha keeps its short label, its size left open.
    """
    experiment = Experiment(method=method, seed=seed, name=name, training=training)
    files = RunDir.create(experiment, folder)
    write_atomically(files.experiment_file, experiment.to_yaml())
    return run.Run(files.path)


def write(run, *events):
    log = EventLog(run.files.events)
    for event in events:
        log.append(**event)
    log.close()


def train(step, loss):
    return {"kind": "train", "step": step, "loss": loss, "seconds": 0.1}


def status(state, step):
    return {"kind": "status", "state": state, "step": step, "message": ""}


def two_steps(run):
    """Begin a run: its first evaluation and two steps."""
    write(run, status("running", 0), {"kind": "eval", "step": 0, "loss": 5.0})
    write(run, train(1, 4.9), train(2, 4.8))


def finish(run, state="finished", **measures):
    """End a run as its worker does: the last status, and what it came to."""
    write(run, status(state, run.experiment.training.steps))
    choice = run.experiment.method
    facts = {
        "run_id": run.id,
        "model": "tiny",
        "task": "qa",
        "method": choice.name,
        "label": choice.label,
        "seed": run.experiment.seed,
        "trainable_parameters": 7680,
        "state": state,
        "learning_rate": choice.learning_rate or 0.01,
    }
    write_json(run.files.summary, facts | measures)
    return run


WHOLE = "qtha(r=4,waist=16,bond_dim=3)"
COMPARED = [
    "lora(r=2)",
    "lora(r=8)",
    WHOLE,
    f"{WHOLE[:-1]},stand_in=bias)",
    f"{WHOLE[:-1]},use_circuit=false)",
]
ENVIRONMENT = {
    "python": "3.11.7",
    "packages": {"torch": "2.13.0"},
    "git": {"commit": "abc123", "dirty": False},
    "model": {"name": "tiny", "fingerprint": "e106fba2"},
    "task": {"name": "qa", "fingerprint": "ecea28ea"},
}


def compared(folder, methods=tuple(COMPARED), seeds=(0, 1, 2), rates=(0.003, 0.01, 0.03), **fields):
    """A folder as `compare` leaves it, with numbers that were made up.

    Losses are least at a rate of 0.01.
    """
    comparison = Comparison(
        methods=list(methods), seeds=list(seeds), learning_rates=list(rates), **fields
    )
    runs = []
    for number, experiment in enumerate(comparison.experiments()):
        choice, place = experiment.method, comparison.scaled_methods()
        order = [c.label for c in place].index(choice.replace(learning_rate=None).label)
        loss = 4.1 + 0.03 * order + abs(np.log10((choice.learning_rate or 0.01) / 0.01)) / 4
        loss += 0.004 * np.random.default_rng(number).standard_normal()
        run = run_folder(folder / "runs", method=choice.label, seed=experiment.seed)
        write_json(run.files.environment, ENVIRONMENT)
        if choice.name == "qtha" and choice.options.get("use_circuit") is not False:
            for step in (0, 100):
                layers = {
                    f"layers.{block}.q_proj": {
                        "block": block,
                        "angle_std": 1.1 + block / 9 + step / 300,
                        "beyond_pi": 0.02,
                        "constant_part": 0.2,
                        "affine_part": 0.9 - step / 1000,
                        "branch_power": 0.3 / (1 + block),
                    }
                    for block in range(4)
                }
                write(run, {"kind": "bottleneck", "step": step, "layers": layers})
        rows = loss + 0.05 + np.sin(np.arange(12))
        write_json(
            run.files.test,
            {"items": [f"row {n}" for n in range(12)], "losses": rows.tolist(), "labels": [1] * 12},
        )
        finish(
            run,
            eval_loss=loss,
            eval_loss_start=6.3,
            test_loss=float(rows.mean()),
            train_loss=loss - 0.2,
            trainable_parameters=7680 - 500 * order,
            seconds_per_step=0.2 + order / 10,
            peak_memory_bytes=2**28,
            adapter_bytes=2**15,
        )
        runs.append(run)
    (folder / "comparison.yaml").write_text(comparison.to_yaml())
    write_json(folder / "summary.json", summarise_runs(comparison, runs))
    return folder


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


_LISTENERS: list[list[tuple[str, str]]] = []


def _hook(event: str, arguments: tuple) -> None:
    if _LISTENERS and event in ("open", "os.listdir", "os.scandir"):
        kind = "open" if event == "open" else "list"
        for listener in _LISTENERS:
            listener.append((kind, str(arguments[0])))


@contextmanager
def watched(folder: Path):
    """Collect `("open", path)` and `("list", path)` of what lies in a folder."""
    if not getattr(sys, "_watched_files", False):
        sys.addaudithook(_hook)
        setattr(sys, "_watched_files", True)  # noqa: B010  a hook stays until the process ends
    seen: list[tuple[str, str]] = []
    _LISTENERS.append(seen)
    try:
        yield seen
    finally:
        _LISTENERS.remove(seen)
        seen[:] = [(kind, path) for kind, path in seen if path.startswith(str(folder))]


EXPERIMENTS = [
    Experiment(),
    Experiment(method="lora(r=2)", seed=7, name="it's mine"),
    Experiment(
        model="some folder/model",
        task="chat",
        task_options={"turns": 3, "who": "a b", "flag": True, "nothing": None, "many": [1, 2]},
        method=MethodChoice(
            name="qtha",
            learning_rate=1e-05,
            target_modules=["q_proj", "v_proj"],
            options={
                "r": 4,
                "waist": 16,
                "in_dims": [8, 8, 3],
                "ansatz": "qtha",
                "reupload": False,
            },
        ),
        training=Training(
            steps=3,
            schedule="cosine",
            gradient_checkpointing=True,
            eval_rows=None,
            weight_decay=1e-7,
        ),
        seed=2**32 - 1,
    ),
]
COMPARISONS = [
    Comparison(),
    Comparison(methods="lora(r=8),qtha(r=4,in_dims=[4,4])", seeds=[0, 1, 2], training={"steps": 5}),
]
DESCRIBED = EXPERIMENTS + COMPARISONS

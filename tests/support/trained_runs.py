"""Short real runs, in a worker or in the process of a test."""

import json
from pathlib import Path

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.runs import run
from qtha_lab.runs.launch import launch
from qtha_lab.training.finetune import fine_tune
from support.waiting import PATIENCE

METHODS = (
    "lora(r=2,learning_rate=0.03)",
    "qtha(r=3,waist=8,n_layers=2,bond_dim=2,learning_rate=0.05)",
)
TRAINING = {
    "steps": 6,
    "batch_size": 4,
    "max_length": 64,
    "train_rows": 60,
    "eval_rows": 8,
    "test_rows": 8,
    "eval_every": 6,
    "checkpoint_every": 3,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


FOUR_STEPS = {
    "steps": 4,
    "batch_size": 2,
    "max_length": 24,
    "train_rows": 14,
    "eval_rows": 4,
    "test_rows": 4,
    "eval_every": 2,
    "checkpoint_every": 2,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


def train_two(folder):
    """The runs, finished."""
    launched = [launch(Experiment(method=method, training=TRAINING), folder) for method in METHODS]
    for each in launched:
        status = each.wait(PATIENCE)
        assert status.state == "finished", f"{status}\n{each.log_tail()}"
    return launched


def work(files, until=10**9):
    """Work on a run to the end or until the step after the one told; told as a worker does."""
    log = EventLog(files.events)
    try:
        outcome = fine_tune(files, log, lambda: run.Run(files.path).status().step >= until, 1)
        log.append("status", state=outcome.state, step=outcome.step, message=outcome.message)
    finally:
        log.close()
    return outcome


def finished(experiment, folder):
    """The directory of an experiment that was run to its end."""
    files = RunDir.create(experiment, folder)
    outcome = work(files)
    assert outcome.state == "finished", outcome
    return files


def measured(files):
    """Everything a run measured, without the clock."""
    events = [e for e in history(read_events(files.events)[0]) if e["kind"] in ("train", "eval")]
    without = ("t", "seconds", "memory_mib")
    return sorted(
        ({k: v for k, v in event.items() if k not in without} for event in events),
        key=lambda event: (event["step"], event["kind"]),
    )


ROWS = {
    "classes": [{"review": f"review {i}", "label": ["bad", "good"][i % 2]} for i in range(60)],
    "ordered": [{"text": f"text {i} {'x' * (i % 5)}", "stars": 1 + i % 5} for i in range(60)],
    "numbers": [{"text": f"house {i}", "score": round(100 + 3.7 * i, 3)} for i in range(60)],
    "pairs": [
        {"premise": f"text {i}", "hypothesis": f"it is {i % 3}", "label": "abc"[i % 3]}
        for i in range(60)
    ],
    "answers": [{"question": f"How much is {i}?", "answer": f"It is {i}."} for i in range(60)],
    "plain": [{"text": f"A line about the number {i} and others."} for i in range(60)],
}
TARGETS = ("label", "stars", "score", "answer")
INPUTS = {
    "classes": "A text.",
    "ordered": "A text.",
    "numbers": "A text.",
    "pairs": ("A text.", "Another text."),
    "answers": "A question?",
}
PREDICTING = {
    "steps": 3,
    "batch_size": 4,
    "max_length": 48,
    "eval_rows": 4,
    "test_rows": 4,
    "checkpoint_every": 2,
    "max_new_tokens": 8,
    "generate_rows": 0,
    "spectrum_every": 0,
    "threads": 1,
}


def table_of(folder: Path, kind: str) -> Path:
    """Write the rows of a kind as JSON Lines."""
    path = folder / f"{kind}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS[kind]))
    return path


def experiment(folder: Path, kind: str, model: str = "tiny", **settings) -> Experiment:
    """Return a short experiment on the rows of a kind."""
    settings = {"method": "lora(r=2,learning_rate=0.01)"} | settings
    return Experiment(
        model=str(model), task=str(table_of(folder, kind)), training=PREDICTING, **settings
    )


def usage_code(card: str) -> str:
    """Return the code of a card's section on predictions."""
    return card.split("## Predictions")[1].split("```python\n")[1].split("```")[0]

"""Run directories as a worker leaves them, with events chosen by a test."""

from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import RunDir, write_atomically, write_json
from qtha_lab.experiment.run_directory.events import EventLog
from qtha_lab.runs import run


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

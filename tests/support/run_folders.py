"""Run directories as a worker leaves them, with events chosen by a test."""

from qtha_lab import runs
from qtha_lab.experiment import Experiment
from qtha_lab.rundir import RunDir
from qtha_lab.rundir.events import EventLog


def run_folder(folder, method="lora", seed=0, name="", **training):
    experiment = Experiment(method=method, seed=seed, name=name, training=training)
    return runs.Run(RunDir.create(experiment, folder).path)


def write(run, *events):
    log = EventLog(run.files.events)
    for event in events:
        log.append(**event)
    log.close()


def train(step, loss):
    return {"kind": "train", "step": step, "loss": loss, "seconds": 0.1}


def status(state, step):
    return {"kind": "status", "state": state, "step": step, "message": ""}

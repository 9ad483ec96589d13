"""Runs worked on in the process of a test, to their end or until a step, and what they measured.

No test.
"""

from qtha_lab.experiment.run_directory import RunDir
from qtha_lab.experiment.run_directory.events import EventLog, history, read_events
from qtha_lab.runs import run
from qtha_lab.training.finetune import fine_tune


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

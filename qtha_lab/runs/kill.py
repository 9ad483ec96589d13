"""Signals to a worker that does not stop on request."""

import logging
import os
import signal

import psutil

from qtha_lab.experiment.run_directory import RunDir, queue
from qtha_lab.runs.process_start import record_status

log = logging.getLogger(__name__)
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows every signal ends a process


def send_signal(files: RunDir, number: int) -> None:
    """Send a signal to the worker and to the processes that it started.

    Only a process that holds the run's lock is ever signalled.
    """
    pid = queue.holder(files.lock)
    if pid is None:
        return
    log.warning("%s did not stop on request: signal %d to process %d", files.path.name, number, pid)
    try:
        worker = psutil.Process(pid)
        for process in (*worker.children(recursive=True), worker):
            _send(process, number)
    except psutil.NoSuchProcess as reason:
        log.debug("%s has ended: %s", files.path.name, reason)


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess as reason:
        log.debug("a process has ended: %s", reason)


def record_kill(files: RunDir, seconds: float) -> None:
    """Record the state "stopped" of a killed worker, once its lock is free."""
    lock = queue.hold(files.lock, patience=10)
    if lock is not None:
        record_status(files, "stopped", f"killed after not answering for {seconds:g} s")
        os.close(lock)

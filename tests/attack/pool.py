"""Run batches of cases in forked worker processes that may crash, hang or be killed.

The parent imports the heavy libraries once and has no threads, so that a fork is cheap and safe.
"""

from __future__ import annotations

import ctypes
import faulthandler
import gc
import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from .outcome import Outcome, enter_folder

HARD_CPU_SECONDS, ASLEEP_SECONDS = 20.0, 4.0
POLL_SECONDS = 0.5
CONTEXT = multiprocessing.get_context("fork")
Cases = Iterator[tuple[str, Callable[[], Outcome]]]
"""Names of the cases of a batch, each with what tries it."""


class Worker:
    """One process that tries the cases of one batch after another; a new one replaces a dead one.

    Args:
        folder: Home, runs and working folder of the process.
        cases: The cases of a batch, by its key.
    """

    def __init__(self, folder: Path, cases: Callable[[Any], Cases]) -> None:
        self.folder, self.cases, self.key = folder, cases, None
        self.failures = 0
        self.place: Any = CONTEXT.Value(ctypes.c_int, -1, lock=False)
        self.start()

    def start(self) -> None:
        """Fork a process."""
        self.link, there = CONTEXT.Pipe()
        self.process = CONTEXT.Process(target=self._work, args=(there, self.link), daemon=True)
        self.process.start()
        there.close()
        self.seen, self.asleep = (None, 0.0), 0.0

    def _work(self, link: Connection, other: Connection) -> None:
        other.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        enter_folder(self.folder)
        os.dup2(os.open("worker.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 2)
        faulthandler.register(signal.SIGUSR2, all_threads=True)
        with suppress(EOFError, BrokenPipeError):
            while True:
                key, skip = link.recv()
                for number, (case, run) in enumerate(self.cases(key)):
                    if number >= skip:
                        self.place.value = number
                        link.send((case, run()))
                self.place.value = -1
                link.send(None)

    def give(self, key: Any, skip: int = 0) -> None:
        """Have the cases of a batch tried from number `skip` on."""
        self.key, self.seen, self.asleep = key, (None, 0.0), 0.0
        self.link.send((key, skip))

    def overdue(self) -> str | None:
        """Name the reason to kill the process; None while it is well. Called every half second."""
        try:
            process = psutil.Process(self.process.pid)
            times, asleep = process.cpu_times(), process.status() == psutil.STATUS_SLEEPING
        except psutil.Error:
            return None
        place, used = self.place.value, times.user + times.system
        if place != self.seen[0]:
            self.seen, self.asleep = (place, used), 0.0
        self.asleep = self.asleep + POLL_SECONDS if asleep else 0.0
        if self.asleep > 2 * ASLEEP_SECONDS:
            return "hangs: waits without computing and answers no signal"
        if self.asleep > ASLEEP_SECONDS:
            process.send_signal(signal.SIGUSR1)
        took = used - self.seen[1]
        return f"hangs: {took:.0f} CPU s, answers no signal" if took > HARD_CPU_SECONDS else None


def run_batches(
    keys: Iterator[Any],
    cases: Callable[[Any], Cases],
    take: Callable[[Any, str, Outcome], None],
    ended: Callable[[Any], None],
    processes: int,
    go_on: Callable[[], bool],
) -> None:
    """Have every batch tried.

    Args:
        keys: Of the batches.
        cases: The cases of a batch, by its key; called in a worker.
        take: Given the key, the case and its outcome.
        ended: Given the key of a batch of which all cases were tried.
        processes: How many at once.
        go_on: No more batches are begun once this says no.
    """
    with tempfile.TemporaryDirectory(prefix="attack") as scratch:
        idle = [Worker(Path(scratch) / str(number), cases) for number in range(processes)]
        busy: list[Worker] = []
        polled = time.monotonic()
        try:
            while True:
                while idle and go_on() and (key := next(keys, None)) is not None:
                    busy.append(idle.pop())
                    busy[-1].give(key)
                if not busy:
                    return
                ready = wait([worker.link for worker in busy], timeout=POLL_SECONDS)
                for worker in list(busy):
                    if worker.link in ready and _receive(worker, take):
                        ended(worker.key)
                        busy.remove(worker)
                        idle.append(worker)
                if time.monotonic() - polled >= POLL_SECONDS:
                    polled = time.monotonic()
                    for worker in busy:
                        if reason := worker.overdue():
                            _replace(worker, reason, take)
        finally:
            for worker in [*idle, *busy]:
                worker.process.kill()


def _receive(worker: Worker, take: Callable) -> bool:
    """Take what a worker sent, or replace it where it died; whether its batch is complete."""
    try:
        while worker.link.poll():
            message = worker.link.recv()
            if message is None:
                return True
            take(worker.key, *message)
    except (EOFError, OSError):
        worker.process.join()
        _replace(worker, f"crashes with exit code {worker.process.exitcode}", take)
    return False


def _replace(worker: Worker, reason: str, take: Callable) -> None:
    """Count the case at hand as a fault, and go on with the next in a new process."""
    number = worker.place.value
    with suppress(ProcessLookupError):
        os.kill(worker.process.pid, signal.SIGUSR2)  # its stack goes to its log
    time.sleep(POLL_SECONDS)
    worker.process.kill()
    worker.process.join()
    worker.link.close()
    if number >= 0:
        take(worker.key, f"{number}", Outcome("fault", reason))
    else:  # no case was at hand: the machine is overloaded, or the harness is wrong
        worker.failures += 1
        log = (worker.folder / "worker.log").read_text(errors="replace")
        print(f"{worker.key} cannot be prepared: {reason}\n{log[-3000:]}", flush=True)
        if worker.failures > 3:
            raise RuntimeError(f"{worker.key} cannot be prepared: {reason}")
    worker.place.value = -1
    worker.start()
    worker.give(worker.key, number + 1)


def _load_float64_kernels() -> None:
    """Compile or load the kernels of analyses; a scheduler process loads those of training only."""
    import torch

    from qtha_lab.circuits.ansatze import build
    from qtha_lab.simulators import expval_z

    circuit = build("qtha", 2, 1)
    inputs = torch.zeros(1, circuit.n_inputs, dtype=torch.float64)
    params = torch.zeros(circuit.n_params, dtype=torch.float64, requires_grad=True)
    expval_z(circuit, inputs, params, engine="cpu").sum().backward()


def preload() -> None:
    """Import what most cases need, so that no case is charged for it; starts no thread."""
    from qtha_lab.runs.process_start import load_libraries, unsafe_threads

    load_libraries()
    import qtha_lab.cli
    import qtha_lab.experiment.cost.calibration
    import qtha_lab.studies.comparison
    import qtha_lab.studies.sweep

    qtha_lab.experiment.cost.calibration.LONGEST_MEASUREMENT = (
        0.0  # a preview times no step of training
    )
    qtha_lab.cli.load_commands()
    _load_float64_kernels()
    gc.collect()
    gc.freeze()  # else each collection in a forked process copies all of these pages
    if names := unsafe_threads():
        print(f"threads beside the main one: {', '.join(names)}", flush=True)

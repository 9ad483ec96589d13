"""Stop one operation on a run at its n-th system call, do another whole operation, then let it go
on.

The operations are delete, resume, restore, empty, rename and tag, each in a process of its own.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from .journal import Journal
from .outcome import Outcome, attempt
from .readers import TRAINING

RUN = "20200101-000000-tiny-qa-lora-s0-0000"
PAUSE_SECONDS, PATIENCE = 3.0, 180.0
EVENTS = (
    "open",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.scandir",
    "fcntl.flock",
    "os.truncate",
    "shutil.rmtree",
    "os.utime",
)


def operations(folder: Path) -> dict[str, Callable[[], object]]:
    """Actions of a person on the run of a folder."""
    from qtha_lab.experiment.run_directory import annotations
    from qtha_lab.experiment.run_directory.annotations import annotate
    from qtha_lab.runs.run import Run, load_run

    def run() -> Run:
        return load_run(RUN, folder)

    return {
        "delete": lambda: annotations.delete(run().files),
        "resume": lambda: run().resume(),
        "restore": lambda: annotations.restore(RUN, folder),
        "empty": lambda: annotations.empty_trash(folder),
        "rename": lambda: annotate(run().files, name="a name"),
        "tag": lambda: annotate(run().files, add=["tag"]),
    }


NAMES = ("delete", "resume", "restore", "empty", "rename", "tag")
IN_TRASH = ("restore", "empty")
PAIRS = sorted(itertools.product(NAMES, NAMES), key=lambda pair: "delete" not in pair)


def plan(count: int) -> Iterator[tuple[str, str, int]]:
    """Pairs of operations with the system call at which the first is stopped."""
    for call in itertools.count():
        for first, second in PAIRS:
            if count == 0:
                return
            count -= 1
            yield first, second, 1 + 2 * call


def attack(journal: Journal, count: int, go_on: Callable[[], bool]) -> None:
    """Force `count` interleavings."""
    with tempfile.TemporaryDirectory(prefix="attack") as scratch:
        for first, second, call in plan(count):
            case = f"interleavings/{first}-{second}/{call}"
            if case in journal.done:
                continue
            if not go_on():
                return
            journal.case(case, force(first, second, call, Path(scratch)))
            shutil.rmtree(Path(scratch, f"{first}-{second}-{call}"), ignore_errors=True)


def again(case: str, folder: Path) -> Outcome:
    """Force one interleaving again, from its name."""
    _, pair, call = case.split("/")
    first, second = pair.split("-")
    return force(first, second, int(call), folder)


def force(first: str, second: str, call: int, scratch: Path) -> Outcome:
    """Run two operations, the first stopped at a system call until the second has ended."""
    folder = scratch / f"{first}-{second}-{call}"
    os.environ["QTHA_LAB_RUNS"] = str(folder)
    from qtha_lab.experiment.run_directory import annotations

    files = _stopped(folder)
    before = files.events.read_bytes()
    if first in IN_TRASH:
        (folder / annotations.NAME).mkdir()
        files.path.rename(folder / annotations.NAME / RUN)
    begin = time.monotonic()
    ops = operations(folder)
    hold, go = os.pipe()
    reached, bell = os.pipe()
    one = _forked(ops[first], scratch / "one", call, bell, hold)
    os.close(bell)
    os.read(reached, 1)  # it is at its system call, or has ended
    _wait(_forked(ops[second], scratch / "two", 0, go, hold))
    os.write(go, b"x")
    _wait(one)
    for fd in (reached, hold, go):
        os.close(fd)
    try:
        problems = [text for name in ("one", "two") if (text := (scratch / name).read_text())]
    except FileNotFoundError:
        problems = ["an operation did not end"]
    problems += _flaws(folder, before, {first, second})
    seconds = 0.0 if not problems else time.monotonic() - begin
    return Outcome("fault", "\n".join(problems), seconds) if problems else Outcome("value")


def _stopped(folder: Path):
    """A run that was stopped at its third step of four, without a checkpoint."""
    from qtha_lab import Experiment
    from qtha_lab.experiment.run_directory import RunDir
    from qtha_lab.experiment.run_directory.events import EventLog

    files = RunDir.create(Experiment(method="lora(r=2)", training={**TRAINING, "steps": 1}), folder)
    files.path.rename(folder / RUN)
    files = RunDir(folder / RUN)
    log = EventLog(files.events)
    log.append("status", state="stopped", step=0, message="")
    log.close()
    return files


def _forked(operation: Callable[[], object], report: Path, call: int, bell: int, hold: int) -> int:
    """Fork a process for an operation.

    Args:
        operation: What it does.
        report: Takes the text of a fault, or nothing.
        call: The system call at which it is stopped; 0 is none.
        bell: Written to when it is stopped.
        hold: It goes on once this can be read, or after `PAUSE_SECONDS`, as where the other waits
            for its lock.
    """
    report.unlink(missing_ok=True)
    if pid := os.fork():
        return pid
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        left = call

        def hook(event: str, arguments: tuple) -> None:
            nonlocal left
            if left and event in EVENTS:
                left -= 1
                if left == 0:
                    os.write(bell, b"x")
                    select.select([hold], [], [], PAUSE_SECONDS)

        if call:
            sys.addaudithook(hook)
        outcome = attempt(operation, once=True)
        left = 0
        report.write_text(outcome.text if outcome.is_fault else "")
        time.sleep(0.3)  # a thread of this process signs the worker that it has begun
    finally:
        os._exit(0)


def _wait(pid: int) -> None:
    end = time.monotonic() + PATIENCE
    while os.waitpid(pid, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return
        time.sleep(0.01)


def _flaws(folder: Path, before: bytes, done: set[str]) -> list[str]:
    """Return the faults afterwards: the run must be whole in one place, and usable."""
    from qtha_lab.experiment.run_directory import RunDir, annotations, queue
    from qtha_lab.runs.run import Run, list_runs

    flaws = []
    here, there = folder / RUN, folder / annotations.NAME / RUN
    for run in list_runs(folder, unreadable=True):
        run.wait(PATIENCE)
    places = [place for place in (here, there) if place.exists()]
    whole = [place for place in places if RunDir(place).exists]
    if len(places) != len(whole):
        flaws.append(f"a ghost is left: {[list(p.iterdir()) for p in places if p not in whole]}")
    if len(whole) > 1 or (not whole and "empty" not in done):
        flaws.append(f"the run is in {len(whole)} places")
    if whole:
        if not RunDir(whole[0]).events.read_bytes().startswith(before):
            flaws.append("events are lost")
        state = Run(whole[0]).status().state
        if "resume" in done and state not in ("finished", "stopped", "dead", "failed"):
            flaws.append(f"the run stays {state}")
    locks = [place / "worker.lock" for place in (here, there)]
    end = time.monotonic() + PATIENCE
    while any(map(queue.is_locked, locks)) and time.monotonic() < end:
        time.sleep(0.05)  # a worker records its end before it lets go of the run
    if any(map(queue.is_locked, locks)):
        flaws.append("a process holds the lock of the run")
    if not flaws and whole:
        again = (
            (lambda: annotations.restore(RUN, folder))
            if there.exists()
            else (lambda: annotations.delete(RunDir(here)))
        )
        outcome = attempt(again, once=True)
        if outcome.kind != "value":
            flaws.append(f"the next operation is refused: {outcome.text}")
    return flaws

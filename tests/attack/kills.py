"""Kill processes of every kind at random moments, and let the same work go on until it is complete.

After each kill the lists work, what had finished is still there, and nothing dead holds a slot.
Work that was killed
comes to the same losses as work that was not.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .journal import Journal
from .killed import KINDS, PATIENCE, Kind, end_in_window
from .outcome import Outcome, attempt, command

MOST_KILLS = 5
"""Kills of one piece of work; then it may come to its end."""
LAST_EVENT = 8
"""Events of a resume's window are drawn from the first to this one; see `end_in_window`."""


@dataclass
class Instance:
    """One piece of work of a kind, killed some times."""

    folder: Path
    kills: int = 0
    tries: int = 0
    finished: dict[str, Any] = field(default_factory=dict)


def attack(
    journal: Journal, count: int, kinds: list[str], short: bool, go_on: Callable[[], bool]
) -> None:
    """Kill `count` processes, of all kinds by their shares.

    Except in the short form, the first work of each kind comes to its end unharmed. It gives the
    results to compare with, and the time in which the kills of that kind happen.
    """
    scratch = journal.folder / "kills"
    shutil.rmtree(scratch, ignore_errors=True)
    instances: dict[str, Instance] = {}
    reference: dict[str, Any] = {}
    seconds = {name: kind.seconds for name, kind in KINDS.items()}
    turns = [name for name in kinds for _ in range(KINDS[name].share)]
    random.Random(0).shuffle(turns)
    done = sum(total.cases for name, total in journal.totals.items() if name.startswith("kills"))
    number = done
    while done < count and go_on():
        kind = turns[number % len(turns)]
        number += 1
        case = f"kills/{kind}/{number}"
        unharmed = MOST_KILLS if kind not in reference and not short else 0
        instance = instances.setdefault(
            kind, Instance(scratch / f"{kind}-{number}", kills=unharmed)
        )
        begin = time.monotonic()
        killed, flaws = strike(KINDS[kind], instance, random.Random(case), seconds[kind])
        if unharmed:
            took = time.monotonic() - begin
            seconds[kind] = min(max(took, KINDS[kind].seconds), 4 * KINDS[kind].seconds)
        if not killed and not flaws:
            results = KINDS[kind].results(instance.folder)
            if results is not None:
                flaws = (
                    []
                    if results == reference.setdefault(kind, results)
                    else _difference(reference[kind], results)
                )
        if flaws or not killed:
            if not flaws and results is None:
                continue
            _remove(instances.pop(kind), keep=bool(flaws))
        if killed or flaws:
            done += 1
            outcome = Outcome("fault", "\n".join(flaws)) if flaws else Outcome("value")
            journal.case(case, outcome, **({"folder": str(instance.folder)} if flaws else {}))
    for instance in instances.values():
        _remove(instance, keep=False)


def again(case: str, folder: Path) -> Outcome:
    """Do the work of a case's kind with kills drawn from its name."""
    _, kind, _ = case.split("/")
    instance, rng = Instance(folder / kind), random.Random(case)
    while True:
        killed, flaws = strike(KINDS[kind], instance, rng, KINDS[kind].seconds)
        if flaws:
            return Outcome("fault", "\n".join(flaws))
        if not killed and KINDS[kind].results(instance.folder) is not None:
            return Outcome("value")


def strike(
    kind: Kind, instance: Instance, rng: random.Random, seconds: float
) -> tuple[bool, list[str]]:
    """Let the work go on, and kill it at a random moment within some seconds.

    Returns:
        Whether it was killed, and what is wrong then.
    """
    deadly = instance.kills < MOST_KILLS
    event = rng.randint(1, LAST_EVENT) if deadly and kind.window else 0
    worked = _fork(kind, instance.folder, event)
    moment = time.monotonic() + (PATIENCE if kind.window else rng.uniform(0, seconds))
    last = time.monotonic() + PATIENCE + 30
    killed: int | None = None
    while (ended := os.waitpid(worked, os.WNOHANG))[0] == 0:
        now = time.monotonic()
        if deadly and now > moment:
            killed = kind.victim(instance.folder) or worked
            with contextlib.suppress(ProcessLookupError):
                os.kill(killed, signal.SIGKILL)
            if killed != worked:
                os.kill(worked, signal.SIGKILL)
            os.waitpid(worked, 0)
            break
        if now > last:
            os.kill(worked, signal.SIGKILL)
            os.waitpid(worked, 0)
            return False, [f"does not come to its end in {PATIENCE + 30:.0f} s"]
        time.sleep(0.02)
    code = os.waitstatus_to_exitcode(ended[1]) if killed is None else 0
    if event and code == -signal.SIGKILL:
        killed = worked
    if killed is None:
        instance.tries += 1
        log = instance.folder.with_suffix(".log").read_text(errors="replace")
        if code:
            return False, [f"ends with exit code {code}", log[-3000:]]
        if instance.tries > MOST_KILLS + 3:
            return False, ["does not go on", log[-3000:]]
        return False, _held(instance.folder)
    instance.kills += 1
    return True, _flaws(instance, killed)


def _fork(kind: Kind, folder: Path, event: int) -> int:
    """A process that works in a folder; its output goes to a file beside it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        os.environ.update({"QTHA_LAB_RUNS": str(folder), "QTHA_LAB_SLOTS": str(kind.slots)})
        output = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(output, 1), os.dup2(output, 2)
        if event:
            end_in_window(event)
        kind.work(folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _flaws(instance: Instance, killed: int) -> list[str]:
    """Return the faults after a kill: lists, finished runs, slots."""
    flaws = []
    for folder in _run_folders(instance.folder):
        os.environ["QTHA_LAB_RUNS"] = str(folder)
        outcome = attempt(lambda: command("runs", "list"))
        if outcome.is_fault:
            flaws.append(f"the list of runs fails: {outcome.text}")
    finished = _finished(instance.folder)
    for name, summary in instance.finished.items():
        if finished.get(name) != summary:
            flaws.append(f"the finished run {name} is lost or changed")
    instance.finished = finished
    end = time.monotonic() + 20
    while held := _signed_by(instance.folder, killed):
        if time.monotonic() > end:
            return [*flaws, f"locks of the killed process {killed} are held: {held}"]
        time.sleep(0.05)
    return flaws


def _run_folders(folder: Path) -> list[Path]:
    """The folders of runs in the folder of a piece of work."""
    found = {description.parent.parent for description in folder.rglob("experiment.yaml")}
    return sorted(place for place in found if place.name not in (".trash", "clients"))


def _finished(folder: Path) -> dict[str, Any]:
    from qtha_lab.runs.run import list_runs

    every = (run for place in _run_folders(folder) for run in list_runs(place))
    return {run.id: run.summary for run in every if run.status().state == "finished"}


def _signed_by(folder: Path, pid: int) -> list[str]:
    from qtha_lab.core import locks

    files = [*folder.rglob("*.lock"), *folder.rglob(".slots/*")]
    return [
        f.name
        for f in files
        if f.is_file() and (locks.signature(f) or (0,))[0] == pid and locks.is_locked(f)
    ]


def _held(folder: Path) -> list[str]:
    """Slots and locks that are held although all work has ended."""
    from qtha_lab.core import locks

    end = time.monotonic() + 60
    while True:
        files = [*folder.rglob("*.lock"), *folder.rglob(".slots/*"), *folder.rglob(".slots/*/*")]
        held = [str(f.relative_to(folder)) for f in files if f.is_file() and locks.is_locked(f)]
        if not held or time.monotonic() > end:
            return [f"held after the end: {', '.join(held)}"] if held else []
        time.sleep(0.1)


def _difference(first: Any, second: Any) -> list[str]:
    return [f"other results than before: {str(first)[:1500]}\nnow: {str(second)[:1500]}"]


def _remove(instance: Instance, *, keep: bool) -> None:
    """End what still trains in a folder, and remove it unless it shows a fault."""
    for lock in instance.folder.rglob("*.lock"):
        from qtha_lab.core import locks

        if pid := locks.holder(lock):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if not keep:
        shutil.rmtree(instance.folder, ignore_errors=True)
        instance.folder.with_suffix(".log").unlink(missing_ok=True)

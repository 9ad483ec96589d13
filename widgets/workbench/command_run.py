"""A command of `qtha-lab` as a process of its own, with a folder that a new panel finds again.

The process inherits the lock of its folder, so its end is noticed however it ends.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    append_shared,
    make_folder,
    parse_json,
    read,
    read_tail,
    remove,
    write_atomically,
    write_json,
)
from qtha_lab.core.locks import hold, holder, is_locked, sign, start_holding
from qtha_lab.runs.run import Run, list_runs

LINES = 40  # of the output that the page shows
MOST_RUNS = 24  # of a command, newest first, whose curves the page shows
WRAPPER = """import pathlib, runpy, sys
from qtha_lab.core.io import write_atomically
from qtha_lab.core.locks import hold
place, lock, *words = sys.argv[1:]
if words[-2:-1] == ["--lock"]:
    del words[-2:]
else:
    kept = hold(pathlib.Path(lock), 10)
sys.argv[1:] = words
code = 1
try:
    runpy.run_module("qtha_lab", run_name="__main__", alter_sys=False)
    code = 0
except SystemExit as end:
    code = end.code or 0
finally:
    write_atomically(pathlib.Path(place), str(code))
"""


@dataclass(frozen=True)
class CommandRun:
    """A launched command; its folder holds its words, its output and the files it writes.

    Example:
        >>> CommandRun(getfixture("tmp_path")).state
        'ended'
    """

    path: Path

    lock = property(lambda self: self.path / "scheduler.lock")
    log = property(lambda self: self.path / "scheduler.log")
    stop = property(lambda self: self.path / "stop")
    at_work = property(lambda self: is_locked(self.lock))
    exit = property(lambda self: self.path / "exit")
    described = property(lambda self: self.path / "command.json")
    exists = property(lambda self: self.described.is_file())

    @classmethod
    def launch(cls, title: str, words: Sequence[str], out: str = "") -> "CommandRun":
        """Start a command in a process of its own.

        Args:
            title: Title of the command.
            words: Arguments of `qtha-lab`.
            out: Name in the folder that is passed as `--out`; "" for a command without it.
        """
        named = "-".join(word for word in words[:2] if word.isalpha())
        time_and_name = time.strftime(f"%Y%m%d-%H%M%S-{named}")
        run = cls(commands_dir() / f"{time_and_name}-{os.urandom(2).hex()}")
        make_folder(run.path, exist_ok=False)
        place = ["--out", str(run.path / out)] if out else []
        write_json(run.described, {"title": title, "arguments": [*words, *place]})
        run.begin()
        return run

    def begin(self) -> None:
        """Start the command, or continue it after an interruption.

        Raises:
            Refusal: If it runs already.
        """
        lock = hold(self.lock)
        if lock is None:
            raise Refusal(f"The command {self.path.name} must have ended, got a running one.")
        try:
            for mark in (self.exit, self.stop):
                remove(mark)
            with append_shared(self.log) as output:
                words = [str(self.exit), str(self.lock), *self.facts["arguments"]]
                process = start_holding(
                    [sys.executable, "-c", WRAPPER, *words],
                    lock,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "100"},
                )
            sign(lock, process.pid)
        finally:
            os.close(lock)
        threading.Thread(target=process.wait, daemon=True).start()  # avoids a zombie

    @property
    def facts(self) -> dict[str, Any]:
        """Title and arguments."""
        return parse_json(read(self.described))

    @property
    def state(self) -> str:
        """The state: "running", "finished", "stopped", "failed", or "ended" if it was killed."""
        if self.at_work:
            return "running"
        code = read(self.exit).strip() if self.exit.is_file() else None
        if code == "0":
            return "finished"
        return "stopped" if self.stop.exists() else "ended" if code is None else "failed"

    def output(self) -> str:
        """Return the last lines of the output."""
        if not self.log.exists():
            return ""
        text = read_tail(self.log, 300 * LINES).decode(errors="replace")
        return "\n".join(text.splitlines()[-LINES:])

    def runs(self) -> list[Run]:
        """Return the newest runs that the command trains, in the order of their beginning."""
        folders = [self.path / "out" / "runs", *sorted(self.path.glob("out/*/runs"))]
        found = [run for folder in folders if folder.is_dir() for run in list_runs(folder)]
        return sorted(found, key=lambda run: run.id)[-MOST_RUNS:]

    def interrupt(self) -> None:
        """Request the end of the process, as Ctrl+C does in a shell."""
        pid = holder(self.lock)
        if pid is not None:
            write_atomically(self.stop, "")
            if sys.platform == "win32":
                psutil.Process(pid).terminate()
            else:
                os.killpg(pid, signal.SIGINT)


def commands_dir() -> Path:
    """Return the folder of launched commands, beside the runs."""
    return paths.runs_dir().parent / "commands"


def latest_command() -> CommandRun | None:
    """Return the command that was launched last; None before the first."""
    folder = commands_dir()
    found = sorted(folder.glob("*/command.json")) if folder.is_dir() else []
    return CommandRun(found[-1].parent) if found else None

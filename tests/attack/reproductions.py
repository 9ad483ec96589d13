"""Run every quick reproduction twice and compare.

Numbers drawn from a seed are the same each time.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from tools.repeatable import difference

from .journal import Journal
from .outcome import Outcome, commit

SHORT = ("flip", "pretrained_vqc", "synergy")
"""Reproductions whose two quick runs take at most 60 s on two cores."""
CODE = """
import sys
from pathlib import Path
from qtha_lab.reproductions import reproduce
name, out = sys.argv[1:]
for time in ("first", "second"):
    reproduce(name, Path(out) / time, quick=True, seeds=SEEDS)
"""


class Pairs:
    """Reproductions that run twice each, one after the other, in processes beside the attack."""

    def __init__(self, names: list[str], journal: Journal, seeds: int | None) -> None:
        self.names, self.journal, self.seeds = names, journal, seeds
        self.out = journal.folder / "reproductions"
        self.running: dict[str, subprocess.Popen] = {}
        self.step()

    def _start(self) -> None:
        name = self.names.pop(0)
        self.out.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self.out / name, ignore_errors=True)
        code = CODE.replace("SEEDS", repr(self.seeds))
        with (self.out / f"{name}.log").open("w") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-c", code, name, str(self.out / name)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def step(self) -> None:
        """Count those that have ended, and start the next."""
        for name, process in list(self.running.items()):
            if process.poll() is not None:
                del self.running[name]
                self.journal.case(f"reproductions/{name}", self._outcome(name, process.returncode))
        if self.names and not self.running:
            self._start()

    def finish(self, end: float) -> None:
        """Wait for all of them until a moment; what has not ended by then is not counted."""
        while (self.running or self.names) and time.monotonic() < end:
            self.step()
            time.sleep(0.2)
        for name, process in self.running.items():
            print(f"reproduction {name} did not end in the time given and is not counted")
            os.killpg(process.pid, signal.SIGKILL)

    def _outcome(self, name: str, code: int) -> Outcome:
        log = (self.out / f"{name}.log").read_text(errors="replace")
        if code:
            missing = "Refusal" in log and ("install" in log or "qtha-lab fetch" in log)
            return Outcome("sentence" if missing else "fault", log[-3000:])
        return compared(self.out / name)


def begin(journal: Journal, short: bool) -> Pairs:
    """Start the reproductions: all of them, or in the short form one that the commit chooses."""
    from qtha_lab.reproductions import REPRODUCTIONS

    if not short:
        names = [name for name in REPRODUCTIONS if f"reproductions/{name}" not in journal.done]
        return Pairs(names, journal, None)
    name = SHORT[int(commit()[:8], 16) % len(SHORT)]
    print(f"reproduction {name} runs twice (chosen by commit {commit()[:8]})", flush=True)
    return Pairs([name], journal, 1)


def again(case: str, folder: Path) -> Outcome:
    """Run the reproduction of a case twice."""
    name = case.split("/")[1]
    pairs = Pairs([name], Journal(folder), None)
    return pairs._outcome(name, pairs.running[name].wait())


def compared(folder: Path) -> Outcome:
    """Compare the two results in a folder."""
    found = difference(folder)
    return Outcome("fault", f"other numbers: {found}") if found else Outcome("value")

"""Launch, watch, stop and resume runs; a run is a directory, a `Run` only a view of it.

Any number of processes may look at one run at once, and closing them all leaves it running. The
work is done by `qtha_lab.worker`, a process and session of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab import paths
from qtha_lab.errors import Refusal
from qtha_lab.experiment import Experiment
from qtha_lab.rundir import RunDir, ending, read_json, slots
from qtha_lab.rundir.events import EventLog, history, read_events, read_tail
from qtha_lab.settings import nearest

__all__ = ["Run", "Status", "attach", "history", "launch", "list_runs"]

TERMINAL = ("stopped", "finished", "failed", "diverged", "dead")
RESUMABLE = ("stopped", "failed", "dead")
RATE_STEPS = 20


@dataclass(frozen=True)
class Status:
    """Where a run is: queued, loading, running, stopping, or how it ended."""

    state: str
    step: int
    steps: int
    message: str = ""
    seconds_left: float | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen unless the run is resumed."""
        return self.state in TERMINAL


class Run:
    """A view of one run directory.

    Example:
        >>> run = launch(Experiment(method="qtha"))  # doctest: +SKIP
        >>> run.wait().state  # doctest: +SKIP
        'finished'
    """

    def __init__(self, path: Path) -> None:
        self.files = RunDir(Path(path).resolve())

    def __repr__(self) -> str:
        return f"Run({self.id})"

    @property
    def id(self) -> str:
        """The name of its directory."""
        return self.files.path.name

    @property
    def path(self) -> Path:
        """Its directory."""
        return self.files.path

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was launched."""
        return self.files.experiment

    @property
    def alive(self) -> bool:
        """Whether a worker holds the run's lock."""
        return slots.is_held(self.files.lock)

    def status(self) -> Status:
        """The state now, from the last events and from whether the worker lives."""
        alive = self.alive  # before reading: a worker writes its end before it lets go of the lock
        events = read_tail(self.files.events)
        said = [event for event in events if event["kind"] == "status"]
        state, message = (said[-1]["state"], said[-1]["message"]) if said else ("queued", "")
        step, steps = _step(events), self.experiment.training.steps
        if (
            state not in TERMINAL and not alive and not self.alive
        ):  # asked again: it may have been resumed
            return Status("dead", step, steps, ending.last_words(self.files))
        if state not in TERMINAL and self.files.stop.exists() and state != "stopping":
            state, message = "stopping", "after this step"
        left = _seconds_left(events, steps) if state == "running" else None
        return Status(state, step, steps, message, left)

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """The events after a byte offset, and the offset to ask with next time."""
        return read_events(self.files.events, offset)

    def history(self) -> list[dict[str, Any]]:
        """The events that still hold after any resume (see `qtha_lab.rundir.events.history`)."""
        return history(self.events()[0])

    def summary(self) -> dict[str, Any] | None:
        """What it came to, once it has finished or diverged."""
        return read_json(self.files.summary)

    def log_tail(self, lines: int = 20) -> str:
        """The last output of the worker."""
        try:
            with self.files.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 300 * lines))
                text = file.read().decode("utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended, or for `timeout` seconds; the state then."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (status := self.status()).ended:
            if end is not None and time.monotonic() >= end:
                break
            time.sleep(0.1)
        return status

    def stop(self, soft_seconds: float = 60.0, term_seconds: float = 10.0) -> Status:
        """Ask the worker to finish its step, save and stop; insist if it does not.

        After `soft_seconds` the worker's process group gets SIGTERM, `term_seconds` later SIGKILL.
        Only a process that holds the run's lock is ever signalled.

        Returns:
            The state at the end: "stopped", or another end that came first.
        """
        if self.status().ended:
            return self.status()
        self.ask_to_stop()
        for patience, number in ((soft_seconds, signal.SIGTERM), (term_seconds, signal.SIGKILL)):
            status = self.wait(patience)
            if status.ended:
                return status
            self._signal(number)
        killed_after = soft_seconds + term_seconds
        lock = slots.hold(self.files.lock, patience=10)
        if lock is not None:
            _tell(self.files, "stopped", f"killed after not answering for {killed_after:g} s")
            os.close(lock)
        return self.status()

    def ask_to_stop(self) -> None:
        """Ask the worker to finish its step, save and stop; wait for nothing."""
        if not self.status().ended:
            self.files.stop.touch()

    def resume(self) -> None:
        """Go on from the last checkpoint, with the same losses as if it had never stopped.

        Raises:
            ValueError: If the run is still going, or finished, or diverged.
        """
        status = self.status()
        if not status.ended:
            raise Refusal(f"run {self.id} is {status.state}: it needs no resume")
        if status.state == "finished":
            raise Refusal(f"run {self.id} has finished all {status.steps} steps")
        if status.state == "diverged":
            raise Refusal(
                f"run {self.id} diverged and would do so again at the same step: "
                "launch a new one with a lower learning rate"
            )
        _start(self.files)

    def _signal(self, number: int) -> None:
        """Signal the worker's process group; a worker started by hand shares its group with a shell, so it alone."""
        pid = slots.holder(self.files.lock)
        if pid is None:
            return
        try:
            (os.killpg if os.getpgid(pid) == pid else os.kill)(pid, number)
        except ProcessLookupError:
            return


def launch(
    experiment: Experiment, runs_dir: Path | str | None = None, *, check: bool = True
) -> Run:
    """Start a run in a process of its own and return at once.

    Args:
        check: Refuse first what cannot work (`Experiment.check`); without it the worker would fail.

    Raises:
        ValueError: If the experiment cannot run.
    """
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    experiment = with_whole_paths(experiment)
    if check:
        experiment.check(folder)
    files = RunDir.create(experiment, folder)
    _start(files)
    return Run(files.path)


def attach(run_id: str | Path, runs_dir: Path | str | None = None) -> Run:
    """The run of an id, or of a path to its directory.

    Raises:
        ValueError: If there is none; names the nearest.
    """
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    for path in (folder / run_id, Path(run_id)):
        if RunDir(path).exists:
            return Run(path)
    known = [run.id for run in list_runs(folder)]
    close = nearest(str(run_id), known)
    hint = f"did you mean {close!r}?" if close else f"it holds {len(known)} runs"
    raise Refusal(f"no run {str(run_id)!r:.80} in {folder}: {hint}")


def list_runs(runs_dir: Path | str | None = None) -> list[Run]:
    """All runs in a folder, newest first; other folders in it are passed over."""
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    if not folder.is_dir():
        return []
    found = sorted((p for p in folder.iterdir() if RunDir(p).exists), reverse=True)
    return [Run(path) for path in found if _readable(path)]


def with_whole_paths(experiment: Experiment) -> Experiment:
    """The same experiment with a model folder or task file named from the root, so that it can be resumed anywhere."""
    changes = {}
    for name in ("model", "task"):
        said = Path(getattr(experiment, name)).expanduser()
        looks_like_path = len(said.parts) > 1 or said.suffix in (".jsonl", ".json")
        if looks_like_path and said.exists():
            changes[name] = str(said.resolve())
    return experiment.replace(**changes) if changes else experiment


def _readable(path: Path) -> bool:
    try:
        return bool(RunDir(path).experiment)
    except ValueError:
        return False


def _start(files: RunDir) -> None:
    """Start a worker that is born with the run's lock, so that no second one can come between."""
    lock = slots.hold(files.lock, patience=5)
    if lock is None:
        pid = slots.holder(files.lock)
        raise Refusal(f"run {files.path.name} already has a worker (process {pid})")
    try:
        files.stop.unlink(missing_ok=True)
        _tell(files, "queued", "starting")
        with files.log.open("ab") as output:
            output.write(f"{ending.BEGIN}\n".encode())
            output.flush()
            worker = subprocess.Popen(
                [sys.executable, "-m", "qtha_lab.worker", str(files.path), "--lock", str(lock)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[lock],
                start_new_session=True,
            )
        slots.sign(lock, worker.pid)
    finally:
        os.close(lock)
    ending.watch(worker, files)


def _tell(files: RunDir, state: str, message: str) -> None:
    log = EventLog(files.events)
    log.append("status", state=state, step=_step(read_tail(files.events)), message=message)
    log.close()


def _step(events: list[dict[str, Any]]) -> int:
    """The last step taken; a resumed run begins again at its checkpoint."""
    for event in reversed(events):
        if event["kind"] == "train" or (event["kind"] == "status" and event["state"] == "running"):
            return event["step"]
    return next((e["step"] for e in reversed(events) if e["kind"] == "status"), 0)


def _seconds_left(events: list[dict[str, Any]], steps: int) -> float | None:
    """From the pace of the last steps by the clock, evaluations included."""
    since = [e["kind"] == "status" and e["state"] == "running" for e in events]
    begin = len(since) - since[::-1].index(True) if True in since else 0
    train = [event for event in events[begin:] if event["kind"] == "train"][-RATE_STEPS:]
    if not train:
        return None
    left = steps - train[-1]["step"]
    if len(train) == 1:
        return left * train[0]["seconds"]
    return left * (train[-1]["t"] - train[0]["t"]) / (len(train) - 1)

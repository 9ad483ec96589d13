"""Follow, stop and resume runs; a run is a directory, a `Run` its view.

Any number of processes may view one run at once; closing them all leaves it running. The work is
done by `qtha_lab.runs.worker`, in a process and session of its own.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtha_lab.core import paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import printable, read_tail
from qtha_lab.core.settings import nearest
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.reproduction_run import Reproduced
from qtha_lab.experiment.run_directory import RunDir, checkpoints, disk, exit_status, queue
from qtha_lab.experiment.run_directory.annotations import annotate, delete
from qtha_lab.experiment.run_directory.events import RESUMABLE, Status, history, read_events
from qtha_lab.experiment.run_directory.files import check_disk_space
from qtha_lab.experiment.run_directory.index import list_records
from qtha_lab.experiment.run_directory.plugins import check_plugins
from qtha_lab.experiment.run_directory.record import LOG_LOST, Record, facts, flaw, stamp
from qtha_lab.experiment.run_directory.record import read_record as read_record
from qtha_lab.runs.kill import KILL, record_kill, send_signal
from qtha_lab.runs.process_start import start_workers
from qtha_lab.runs.remote import RemoteBackend, send

if TYPE_CHECKING:
    import pandas

    from qtha_lab.figures import Figure
    from qtha_lab.runs.prediction import Row
    from qtha_lab.runs.trained_model import RunModel

__all__ = ["RESUMABLE", "Run", "Status", "history", "list_runs", "load_run"]

log = logging.getLogger(__name__)


class Run:
    """A view of one run directory.

    Example:
        >>> run = launch(Experiment(method="qtha"))  # doctest: +SKIP
        >>> run.wait().state  # doctest: +SKIP
        'finished'
    """

    __slots__ = ("__weakref__", "_record", "files")  # refuses unknown attributes

    def __init__(self, path: Path, record: Record | None = None) -> None:
        self.files = RunDir(Path(path).resolve() if record is None else path)
        self._record = record

    def __repr__(self) -> str:
        return f"Run({self.id})"

    @property
    def id(self) -> str:
        """The name of the run's directory."""
        return self.files.path.name

    @property
    def name(self) -> str:
        """Name given by a user: in the annotations or the experiment; the id without either."""
        record = self.record
        return record.annotations.get("name") or record.experiment.get("name") or self.id

    @name.setter
    def name(self, text: str) -> None:
        annotate(self.files, name=text or "")

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags given by a user; assign all tags, such as `run.tags = ["best"]`."""
        return tuple(self.record.annotations.get("tags", ()))

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        tags = [tag.strip() for tag in ([tags] if isinstance(tags, str) else tags or ())]
        annotate(self.files, add=tags, remove=[tag for tag in self.tags if tag not in tags])

    @property
    def note(self) -> str:
        """Note given by a user."""
        return self.record.annotations.get("note", "")

    @note.setter
    def note(self, text: str) -> None:
        annotate(self.files, note=text or "")

    @property
    def state(self) -> str:
        """Present state: queued, running, finished, …"""
        return self.status().state

    @property
    def config(self) -> dict[str, Any]:
        """Settings of the experiment as plain values, default values included."""
        return self.experiment.model_dump()

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.files.path

    @property
    def experiment(self) -> Experiment:
        """The experiment as it was launched."""
        return self.files.experiment

    @property
    def alive(self) -> bool:
        """True if a worker or a remote job holds a lock of the run."""
        return queue.is_locked(self.files.lock) or queue.is_locked(self.files.sent)

    @property
    def record(self) -> Record:
        """The present content of the run's files, cached until they change."""
        record = self._record
        if record is None or not record.is_final or record.stamp != stamp(self.path):
            self._record = record = read_record(self.files)
        return record

    @property
    def last_record(self) -> Record:
        """The content of the run's files at the last read; `status` reads them."""
        return self._record or self.record

    @property
    def unreadable(self) -> str | None:
        """The reason why the directory is not readable as a run, or None."""
        return self.record.unreadable

    def status(self) -> Status:
        """Return the present state, from the last events and the worker's lock."""
        before, record = self._record, self.record  # read once: young records are not cached
        status = record.status
        if not record.has_log and disk.is_unreachable(self.path.parent):
            self._record = before
            last = Status("away", 0, 0) if before is None else before.status
            return replace(last, state="away", message=f"the folder {self.path.parent} is away")
        if status.ended:
            return status
        if not self.alive:
            record = self.record
            status = record.status  # a worker records its end before it releases the lock
            if status.ended:
                return status
            if not self.alive:  # checked again: the run may have been resumed
                words = exit_status.last_output(self.files) if record.has_log else LOG_LOST
                return replace(status, state="dead", message=words, seconds_left=None)
        if self.files.stop.exists() and status.state != "stopping":
            return replace(status, state="stopping", message="after this step", seconds_left=None)
        return status

    def events(self, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
        """Return the events after a byte offset, and the offset for the next call."""
        return read_events(self.files.events, offset)

    def valid_events(self) -> list[dict[str, Any]]:
        """Return the events that are valid after any resume.

        See `qtha_lab.experiment.run_directory.events.history`.
        """
        return history(self.events()[0])

    def history(self) -> pandas.DataFrame:
        """Return the recorded measures by step, with `train_loss`, `eval_loss` and `test_loss`.

        Example:
            >>> run.history().plot("step", ["train_loss", "eval_loss"])  # doctest: +SKIP
        """
        import pandas

        rows: dict[int, dict[str, Any]] = {}
        for event in self.valid_events():
            if (kind := event["kind"]) in ("train", "eval", "test"):
                row = rows.setdefault(event["step"], {"step": event["step"]})
                measures = {n: v for n, v in event.items() if n not in ("t", "kind", "step")}
                row |= {f"{kind}_loss" if n == "loss" else n: v for n, v in measures.items()}
        return pandas.DataFrame([rows[step] for step in sorted(rows)])

    @property
    def summary(self) -> dict[str, Any] | None:
        """Results of a run that has finished or diverged; None before."""
        summary = self.record.summary
        return None if summary is None else dict(summary)

    def outcome(self, status: Status | None = None) -> dict[str, Any]:
        """Return facts, state and, of an ended run, results, as a comparison's summary has them.

        The state is "unreadable" if the run's own summary is missing or damaged.
        """
        status = status or self.status()
        known = facts(self.files)
        state = {"state": status.state, "message": status.message}
        summary = self.summary
        if status.state == "finished" or (status.state == "diverged" and summary is not None):
            wrong = flaw(summary, known)
            if wrong or summary is None:
                return known | {"state": "unreadable", "message": wrong}
            return summary | known | state
        return known | state

    def plot(self) -> Figure:
        """Plot the train loss and the evaluation loss."""
        from qtha_lab.figures import loss_curves

        return loss_curves([self])

    def load(self) -> RunModel:
        """Load the base model with the run's adapter, in evaluation mode.

        Example:
            >>> model, tokenizer = run.load()  # doctest: +SKIP
        """
        from qtha_lab.runs.trained_model import load_run_model

        return load_run_model(self.files)

    def generate(self, prompt: str, **decoding: Any) -> str:
        """Load the model and return its answer to a prompt.

        For several prompts, load once: `model = run.load()`, then `model.generate(prompt)`.

        Example:
            >>> run.generate("How are you?", temperature=0.7)  # doctest: +SKIP
        """
        return self.load().generate(prompt, **decoding)

    def predict(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Load the model and predict rows: labels, numbers or answers; see `Predictor.predict`.

        Example:
            >>> run.predict(["A text."])[0]["label"]  # doctest: +SKIP
            'good'
        """
        from qtha_lab.runs.prediction import predictor_of

        return predictor_of(self.files).predict(rows)

    def log_tail(self, lines: int = 20) -> str:
        """Return the last output of the worker, without control characters."""
        try:
            text = read_tail(self.files.log, 300 * lines).decode("utf-8", errors="replace")
        except (FileNotFoundError, Refusal) as reason:
            log.debug("%s has no log: %s", self.id, reason)
            return ""
        return "\n".join(map(printable, text.splitlines()[-lines:]))

    def wait(self, timeout: float | None = None) -> Status:
        """Wait until the run has ended, or for `timeout` seconds; return the state then."""
        end = None if timeout is None else time.monotonic() + timeout
        while not (status := self.status()).ended:
            if end is not None and time.monotonic() >= end:
                break
            time.sleep(0.1)
        return status

    def stop(self, soft_seconds: float = 60.0, term_seconds: float = 10.0) -> Status:
        """Request that the worker finishes its step, saves and stops; kill after a timeout.

        After `soft_seconds` the worker's process group gets SIGTERM, `term_seconds` later SIGKILL.
        Only a process that holds the run's lock is ever signalled.

        Args:
            soft_seconds: Seconds to wait for the requested stop.
            term_seconds: Seconds to wait after SIGTERM.

        Returns:
            The state at the end: "stopped", or another end that came first.
        """
        if self.status().ended:
            return self.status()
        self.request_stop()
        for patience, number in ((soft_seconds, signal.SIGTERM), (term_seconds, KILL)):
            status = self.wait(patience)
            if status.ended:
                return status
            send_signal(self.files, number)
        record_kill(self.files, soft_seconds + term_seconds)
        return self.status()

    def delete(self) -> None:
        """Move the run to the trash, from which `qtha-lab runs restore` restores it.

        Raises:
            Refusal: If a worker is running, or the folder is not writable.
        """
        self.files = RunDir(delete(self.files))

    def request_stop(self) -> None:
        """Request that the worker finishes its step, saves and stops, without waiting."""
        if not self.status().ended:
            self.files.request_stop()

    def resume(self, *, anew: bool = False, on: RemoteBackend | None = None) -> None:
        """Resume from the last whole checkpoint, with the losses of an uninterrupted run.

        A run that diverged does so again, unless damage was the cause.

        Args:
            anew: Begin at step 0 again; existing checkpoints are set aside.
            on: Remote backend that works on the run; None is this machine.

        Raises:
            Refusal: If the run has not ended, has finished or is unreadable, is an arm of a
                reproduction, or its disk is full.
        """
        resume_all([self], anew=anew, on=on)

    def check_resumable(self) -> None:
        """Refuse a run that cannot be resumed, as `resume` does."""
        status = self.status()
        if not status.ended:
            raise Refusal(f"A resumed run must have ended, got {self.id}, which is {status.state}.")
        if status.state == "finished":
            raise Refusal(
                f"A resumed run must have steps left, got {self.id} with all {status.steps} "
                "steps finished."
            )
        if status.state == "unreadable":
            raise Refusal(f"Run {self.id} cannot be read: {status.message}")
        if isinstance(self.experiment, Reproduced):
            self.experiment.check()
        check_plugins(self.files)
        check_disk_space(self.path, checkpoints.disk_space_needed(self.files.checkpoints))
        log.info("resuming %s, which is %s at step %d", self.id, status.state, status.step)


def resume_all(runs: Sequence[Run], *, anew: bool = False, on: RemoteBackend | None = None) -> None:
    """Resume runs that share one scheduler process.

    Raises:
        Refusal: If a run cannot be resumed; then none is.
    """
    for run in runs:
        run.check_resumable()
    start([run.files for run in runs], on, anew=anew)


def start(every: Sequence[RunDir], on: RemoteBackend | None, *, anew: bool = False) -> None:
    """Start workers here, or send the runs to a remote backend.

    Args:
        every: The runs' directories.
        on: Remote backend that works on the runs; None is this machine.
        anew: As for `Run.resume`.
    """
    if on is None:
        if every:
            start_workers(every, anew=anew)
        return
    for files in every:
        send(files, on, anew=anew)


def load_run(run_id: str | Path, runs_dir: Path | str | None = None) -> Run:
    """Return the run of an id, or of a path to its directory.

    Raises:
        Refusal: If there is none; the message names the nearest id.
    """
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    for path in (folder / run_id, Path(run_id)):
        if RunDir(path).exists:
            return Run(path)
    ids = [run.id for run in list_runs(folder)]
    close = nearest(str(run_id), ids)
    hint = f"did you mean {close!r}?" if close else f"it holds {len(ids)} runs."
    raise Refusal(f"Unknown run {str(run_id)!r:.80} in {folder}: {hint}")


def list_runs(runs_dir: Path | str | None = None, *, unreadable: bool = False) -> list[Run]:
    """Return all runs in a folder, newest first; other folders are skipped.

    Args:
        runs_dir: Default: `paths.runs_dir()`.
        unreadable: Include runs with broken files; their status states the reason.
    """
    folder = Path(runs_dir) if runs_dir else paths.runs_dir()
    listed = list_records(folder.resolve())
    return [Run(path, record) for path, record in listed if unreadable or not record.unreadable]

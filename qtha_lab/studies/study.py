"""Study: a folder with a description, and a plan of runs for one process.

A new kind of study is a subclass with its description and its `plan`. A study under the group of
its kind in a runs folder, such as `comparisons`, stores its runs in that folder, where every list
of runs shows them. A study in another directory has its runs in its own `runs`. The folder may be
moved, and any process may read it while another one works in it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from qtha_lab.core import locks, paths
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import (
    digest,
    make_folder,
    read_mapping,
    read_tail,
    refuse_inner_links,
    remove_file,
    write_atomically,
    write_json,
)
from qtha_lab.core.settings import nearest
from qtha_lab.experiment import Experiment
from qtha_lab.experiment.run_directory import queue
from qtha_lab.experiment.run_directory.plugins import record_trust, trusted
from qtha_lab.runs.launch import create_all, in_launch_order
from qtha_lab.runs.process_start import FORKS
from qtha_lab.runs.run import Run, Status, list_runs
from qtha_lab.studies.scheduler_process import start_scheduler
from qtha_lab.studies.work import OnProgress, Work, drive, ignore

if TYPE_CHECKING:
    import pandas

    from qtha_lab.figures.machinery.figure import Figure
    from qtha_lab.studies.comparison.finding import Finding

GOING = ("running", "stopping")
LOG_TAIL = 2**16  # bytes
POLL_SECONDS = 0.3
log = logging.getLogger(__name__)


class StageProgress(NamedTuple):
    """OnProgress of one stage: ended and planned runs, trials or rounds."""

    name: str
    ended: int
    planned: int


class Study(ABC):
    """Runs of one description, which continue without this object.

    Iteration yields the runs so far, in the order of their launch.

    Attributes:
        kind: Name of the kind; `KIND.yaml` holds the description.
        describes: Class of the description.
        works_here: True if the plan trains in its own process and not in workers.
        levels: Levels of the folder that hold folders and runs, such as tuning/CONTENDER/runs.
        remedy: Advice where the folder holds another description.

    Example:
        >>> study = launch(Comparison(methods="lora,qtha", seeds=[0, 1]))  # doctest: +SKIP
        >>> study.wait().table()[["method", "eval_loss"]]  # doctest: +SKIP
          method  eval_loss
        0   lora      4.122
        1   qtha      4.204
    """

    kind: ClassVar[str]
    describes: ClassVar[type[Any]]
    works_here: ClassVar[bool] = False
    levels: ClassVar[int] = 3
    remedy: ClassVar[str] = "Name a new folder."

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).resolve()

    description = property(lambda self: self.path / f"{self.kind}.yaml")
    summary_file = property(lambda self: self.path / "summary.json")
    lock = property(lambda self: self.path / "scheduler.lock")
    start_lock = property(lambda self: self.path / "start.lock")
    log = property(lambda self: self.path / "scheduler.log")
    stop_file = property(lambda self: self.path / "stop")
    end_file = property(lambda self: self.path / "end.json")

    # ---- what a kind defines

    @abstractmethod
    def plan(self, work: Work) -> Generator[None, None, Any]:
        """Start the missing runs, and yield wherever the plan has to wait for them.

        Called in the process that works in the folder; again after a kill. Its return value is the
        result of `run`.
        """

    def first_experiments(self) -> list[Experiment]:
        """Return the experiments that depend on no result, whose runs a launch creates at once."""
        return []

    def check_edit(self, described: Any) -> None:
        """Refuse a description that the present content of the folder contradicts."""
        if self.exists and self.described != described:
            raise Refusal(
                f"The folder must be new or hold this {self.kind}, got {self.path}. {self.remedy}"
            )

    def prepare(self, described: Any) -> None:  # noqa: B027  a kind may need none
        """Refuse a description that may not begin; called before anything is written."""

    def set_up_process(self) -> None:  # noqa: B027  a kind may need nothing
        """Prepare the scheduler process, before libraries are imported."""

    def finish(self) -> None:  # noqa: B027  a kind may leave nothing
        """Write what a launched study leaves at its end, such as a report."""

    def stages(self) -> list[StageProgress]:
        """Return the progress of each stage."""
        every = self.list_runs()
        return [StageProgress("runs", sum(run.status().ended for run in every), len(every))]

    # ---- the folder

    @classmethod
    def create(cls, described: Any, path: Path | str | None = None) -> Self:
        """Write the description into a folder.

        Args:
            described: Description of the study.
            path: Folder; None creates one, named by the time, in the default runs folder.

        Raises:
            Refusal: If the content of the folder contradicts the description.
        """
        study = cls(path or cls.new_place(paths.runs_dir()))
        study.check_edit(described)
        make_folder(study.path)
        study.write(described)
        return study

    @classmethod
    def new_place(cls, runs_dir: Path) -> Path:
        """Return a new folder, named by the time, in a runs folder."""
        name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}"
        return runs_dir / cls.group() / name

    @classmethod
    def group(cls) -> str:
        """Return the subfolder of a runs folder that holds the studies of this kind."""
        return f"{cls.kind}s"

    @classmethod
    def list_all(cls) -> list[Self]:
        """Return the studies of this kind in the default runs folder, newest first."""
        place = paths.runs_dir() / cls.group()
        studies = map(cls, sorted(place.iterdir(), reverse=True) if place.is_dir() else [])
        return [study for study in studies if study.exists]

    @classmethod
    def find(cls, name: str | Path) -> Self:
        """Return a study by its path, or by its name in the default runs folder.

        Raises:
            Refusal: If there is none; the message suggests the nearest name.
        """
        place = paths.runs_dir() / cls.group()
        for path in (Path(name), place / name):
            if cls(path).exists:
                return cls(path)
        known = [study.path.name for study in cls.list_all()]
        close = nearest(str(name), known)
        hint = f"Did you mean {close!r}?" if close else f"The folder holds {len(known)}."
        raise Refusal(f"The {cls.kind} must be in {place}, got {str(name)!r:.80}. {hint}")

    def write(self, described: Any) -> None:
        """Write the description, whose plugins this user thereby trusts."""
        record_trust(self.path, described)
        write_atomically(self.description, described.to_yaml())

    @property
    def exists(self) -> bool:
        """True if the folder holds a description of this kind."""
        return self.description.is_file()

    @property
    def described(self) -> Any:
        """Description in the folder."""
        return self.describes.from_yaml(self.description, links=False)

    @property
    def trusted(self) -> Any:
        """The description, or a refusal if this user does not trust its plugins."""
        return trusted(self.path, self.described)

    @property
    def is_shared(self) -> bool:
        """True if the study stores its runs in a runs folder that others share."""
        return self.path.parent.name == self.group() and not self.works_here

    @property
    def runs_dir(self) -> Path:
        """Folder of the runs."""
        return self.path.parent.parent if self.is_shared else self.path / "runs"

    # ---- its runs

    def __iter__(self) -> Iterator[Run]:
        return iter(self.list_runs())

    def __len__(self) -> int:
        return len(self.list_runs())

    def list_runs(self) -> list[Run]:
        """Return the runs so far, in the order of their launch."""
        there = list_runs(self.runs_dir)
        return in_launch_order(filter(self.has, there) if self.is_shared else there)

    def has(self, run: Run) -> bool:
        """Return True if a run of the shared folder is part of this study."""
        name, record = self.path.name, run.record
        return name in (record.experiment.get("name"), (record.origin or {}).get(self.kind))

    def runs(self) -> pandas.DataFrame:
        """Return one row per run so far: identity, state, settings and measures."""
        from qtha_lab.runs.table.frame import frame

        return frame(self.list_runs())

    def findings(self) -> list[Finding]:
        """Return the findings in words and in figures, as `explain` and `qtha-lab plot` do."""
        import qtha_lab

        return list(qtha_lab.compare.findings(self.list_runs()))

    def figures(self) -> list[Figure]:
        """Draw curves, seed spreads, Pareto plots, table, circuits and recorded spectra."""
        return [figure for finding in self.findings() for figure in finding.figures]

    def statuses(self) -> list[Status]:
        """Return the status of each run."""
        return [run.status() for run in self]

    # ---- its process

    @property
    def at_work(self) -> bool:
        """True if a process works in the folder."""
        return queue.is_locked(self.lock) or queue.is_locked(self.start_lock)

    @property
    def state(self) -> str:
        """State: "running", "stopping", "finished", "stopped" by the user, or "dead"."""
        if self.at_work:
            return "stopping" if self.stop_file.exists() else "running"
        if self.has_ended:
            return "finished"
        return "stopped" if self.was_stopped else "dead"

    @property
    def has_ended(self) -> bool:
        """True if everything in the present description has been run."""
        return (read_mapping(self.end_file) or {}).get("of") == digest(self.description)

    @property
    def was_stopped(self) -> bool:
        """True if a user stopped the study."""
        return self.stop_file.exists()

    def sentence(self) -> str:
        """Describe state and progress of each stage, and the reason of a failure."""
        parts = [self.state, *(f"{s.ended} of {s.planned} {s.name}" for s in self.stages())]
        if self.state == "dead":
            parts.append(self.why() or "its scheduler process ended early")
        return " · ".join(parts)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.path.name}: {self.sentence()}>"

    def why(self) -> str:
        """Return the last log line of the scheduler process; "" without a log."""
        try:
            lines = read_tail(self.log, LOG_TAIL).decode(errors="replace").splitlines()
        except (OSError, Refusal) as reason:
            log.debug("%s cannot be read: %s", self.log, reason)
            return ""
        return lines[-1] if lines else ""

    @classmethod
    def begin(
        cls,
        described: Any,
        path: Path | str | None = None,
        *,
        check: bool = True,
        on: str | None = None,
    ) -> Self:
        """Launch a described study and return at once; continue if its folder exists.

        Args:
            described: Description of the study.
            path: Folder of the study; None creates one in the default runs folder.
            check: Validate the description first; otherwise errors appear in the worker.
            on: Remote backend that trains the runs, by name; None is this machine.

        Raises:
            Refusal: If the description cannot run; then nothing is started.
        """
        place = cls(path or cls.new_place(paths.runs_dir()))
        if check:
            described.check(place.runs_dir if place.is_shared else None)
        place.prepare(described)
        study = cls.create(described, place.path)
        return study if study.state in (*GOING, "finished") else study.launch(on)

    def launch(self, on: str | None = None) -> Self:
        """Start the scheduler process of the study and return at once.

        Raises:
            Refusal: If a process already works in the folder.
        """
        refuse_inner_links(self.path, self.levels)
        with contextlib.ExitStack() as held:
            is_new = locks.INHERITS and not on and not len(self)
            first = self.first_experiments() if is_new else []
            runs = create_all(first, self.runs_dir, held) if first else {}
            start_scheduler(self, on, runs)
        return self

    def run(
        self,
        described: Any = None,
        on_progress: OnProgress | None = None,
        *,
        check: bool = True,
        on: str | None = None,
    ) -> Any:
        """Run the study to its end in this process, and return its result.

        Finished runs are reused, running ones are followed, stopped or dead ones are resumed.
        Ctrl-C stops the runs with saved state before it is raised again.

        Args:
            described: Description to write into the folder; None continues the present one.
            on_progress: Callback with each run and its status, several times per second.
            check: Validate the description first.
            on: Remote backend that trains the runs, by name; None is this machine.

        Raises:
            Refusal: If the study cannot run, another process works in its folder, or the content
                of the folder contradicts the description.
        """
        refuse_inner_links(self.path, self.levels)
        described = described or self.trusted
        if check:
            described.check(self.runs_dir)
        make_folder(self.path)
        lock = queue.hold(self.lock)
        if lock is None:
            raise Refusal(
                f"{self.path} must have one process of a {self.kind}, got a second one. Wait for "
                "the first one, or choose another folder."
            )
        try:
            queue.sign(lock, os.getpid())
            self.check_edit(described)
            self.prepare(described)
            self.write(described)
            remove_file(self.stop_file)
            with FORKS.in_foreground():
                result = drive(self, on_progress or ignore, on)
            self.mark_finished()
            return result
        finally:
            os.close(lock)

    def mark_finished(self) -> None:
        """Record that everything in the description has been run."""
        write_json(self.end_file, {"of": digest(self.description)})

    def wait(self, timeout: float | None = None) -> Self:
        """Wait until the process of the study has ended, or for `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self.at_work and (end is None or time.monotonic() < end):
            time.sleep(POLL_SECONDS)
        return self

    def request_stop(self) -> None:
        """Request that the process of the study stops with all runs saved."""
        write_atomically(self.stop_file, "")
        for run in self if self.works_here else ():
            run.request_stop()

    def stop(self, timeout: float | None = None) -> Self:
        """Request a stop with all runs saved, and wait for the process of the study."""
        if self.at_work:
            self.request_stop()
        return self.wait(timeout)

    def resume(self, on: str | None = None) -> Self:
        """Continue a stopped or killed study; finished runs are not repeated.

        Args:
            on: Remote backend that trains the runs from now on, by name; None is this machine.

        Raises:
            Refusal: If the study is running, stopping or finished.
        """
        if (state := self.state) in (*GOING, "finished"):
            raise Refusal(
                f"{self.kind.capitalize()} {self.path.name} must be stopped or failed, got {state}."
            )
        _ = self.trusted  # asks here, where a person may answer
        return self.launch(on)

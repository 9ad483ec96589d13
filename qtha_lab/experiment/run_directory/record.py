"""What the files of a run say of it: its description, its last state, what it came to, what a person wrote on it.

Depends on the contents of a few files and on nothing else, so it can be kept as long as they do not
change; whether a worker lives is somebody else's to know.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file, read_mapping
from qtha_lab.experiment.run_directory.annotations import read_annotations
from qtha_lab.experiment.run_directory.events import read_tail
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.run_directory.status import SUMMARISED, Status, last_status
from qtha_lab.experiment.run_directory.summary_check import flaw, number_flaw
from qtha_lab.experiment.serialisation import thin

log = logging.getLogger(__name__)

FILES = ("experiment.yaml", "events.jsonl", "summary.json", "marks.jsonl")
YOUNG_SECONDS = 2.0  # a clock of file times may tick as slowly as this
LOG_LOST = "its events.jsonl is missing"

Stamp = list[list[int] | None]


@with_config(ConfigDict(extra="allow"))
class ChosenMethod(TypedDict):
    """A method in a description."""

    name: NotRequired[str]
    options: NotRequired[dict[str, Any]]


@with_config(ConfigDict(extra="allow"))
class Described(TypedDict):
    """Those parts of a description that hold parts themselves."""

    method: NotRequired[ChosenMethod]
    training: NotRequired[dict[str, Any]]
    task_options: NotRequired[dict[str, Any]]


class MarksAsJson(TypedDict):
    """What `Marks.plain` gives."""

    name: NotRequired[str]
    note: NotRequired[str]
    pinned: NotRequired[bool]
    tags: NotRequired[list[str]]


@dataclass(frozen=True)
class Record:
    """What is read of one run directory.

    Attributes:
        stamp: Which contents were read: time of change, size and inode of each of `FILES`.
        unreadable: Why the directory cannot be read as a run; None where it can.
        experiment: Its description, without what is at its default.
        label: Its method with what was chosen for it.
        status: The last state in the log, or in the summary where the log is lost.
        has_log: Whether there is a log at all.
        summary: What it came to.
        flaw: Why the summary cannot be taken for this run's; None if it can.
        origin: What launched it, such as a sweep; None where a person did.
        marks: The marks that a person made, as plain values.
    """

    stamp: Stamp
    unreadable: str | None = None
    experiment: Described = dataclasses.field(default_factory=dict)  # type: ignore[assignment]
    label: str = ""
    status: Status = dataclasses.field(default_factory=lambda: Status("unreadable", 0, 0))
    has_log: bool = False
    summary: dict[str, Any] | None = None
    flaw: str | None = None
    origin: dict[str, Any] | None = None
    marks: MarksAsJson = dataclasses.field(default_factory=dict)  # type: ignore[assignment]

    @property
    def settled(self) -> bool:
        """Whether any later change of a file shows in its stamp: the last one is not too fresh for that."""
        newest = max((part[0] for part in self.stamp if part), default=0)
        return newest < (time.time() - YOUNG_SECONDS) * 1e9

    def plain(self) -> dict[str, Any]:
        """The record as JSON."""
        return {**vars(self), "status": vars(self.status)}

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Record:
        """Build the record that `plain` gave.

        Raises:
            Refusal: If the values have another form.
        """
        if value.keys() != cls.__dataclass_fields__.keys():
            raise Refusal("A record must have the fields of this version.")
        try:
            record = _adapter().validate_python(value)
        except ValidationError as reason:
            raise Refusal(
                f"A record must have the form of this version, got {reason.error_count()} errors."
            ) from None
        if record.summary and not record.flaw and number_flaw(record.summary):
            raise Refusal("A record must hold numbers as measures.")
        return record


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def stamp(folder: str | Path) -> Stamp:
    """The state of the files of a run directory, without reading them."""
    return [_stamp(f"{folder}/{name}") for name in FILES]


def _stamp(path: str) -> list[int] | None:
    try:
        stat = os.stat(path)
    except (OSError, ValueError) as reason:
        log.debug("no %s: %s", path, reason)
        return None
    return [stat.st_ctime_ns, stat.st_size, stat.st_ino]


def read(files: RunDir) -> Record:
    """Read the files of a run; whatever is broken in them becomes a sentence."""
    before = stamp(files.path)  # what is written while they are read, is read again the next time
    summary = read_mapping(files.summary)
    marks = cast("MarksAsJson", read_annotations(files).plain() if before[-1] else {})
    if why := unreadable(files):
        return Record(
            before, why, status=Status("unreadable", 0, 0, why), summary=summary, marks=marks
        )
    experiment = files.experiment
    who = {name: getattr(experiment, name) for name in ("model", "task", "seed")}
    who |= {"method": experiment.method.name, "label": experiment.method.as_chosen}
    wrong = flaw(summary, who, files.edition)
    return Record(
        before,
        experiment=thin(experiment),
        label=who["label"] if wrong or not summary else summary.get("label", who["label"]),
        status=_status(files, experiment.training.steps, summary or {}),
        has_log=files.events.is_file(),
        summary=summary,
        flaw=wrong,
        origin=read_mapping(files.origin),
        marks=marks,
    )


def unreadable(files: RunDir) -> str | None:
    """Why a directory cannot be read as a run; None where it can."""
    try:
        files.experiment  # noqa: B018  read, and kept
    except Refusal as refused:
        return str(refused)
    except Exception as wrong:  # whatever a broken file leads its reader to
        log.debug("%s cannot be read: %r", files.experiment_file, wrong)
        return f"experiment.yaml cannot be read ({type(wrong).__name__})"
    try:
        with open_file(files.events, links=False):
            return None
    except FileNotFoundError:
        return None
    except Refusal as refused:
        log.debug("%s", refused)
        return "events.jsonl cannot be read"


def _status(files: RunDir, steps: int, summary: dict[str, Any]) -> Status:
    """As the log says last; of a run whose log is lost as its summary says, else it waits for its worker."""
    if logged := last_status(read_tail(files.events), steps):
        return logged
    if (state := summary.get("state")) in SUMMARISED:
        step = summary.get("steps")
        return Status(state, step if isinstance(step, int) else 0, steps, LOG_LOST)
    return Status("queued", 0, steps)

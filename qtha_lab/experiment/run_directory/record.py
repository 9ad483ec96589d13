"""Record of a run directory: description, last state, summary and annotations.

It depends only on the contents of a few files, so it can be cached until they change. It does not
contain the liveness of the worker.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NotRequired, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import open_file, read_mapping
from qtha_lab.core.metrics import recorded
from qtha_lab.core.paths import shared_name
from qtha_lab.experiment import MethodChoice
from qtha_lab.experiment.run_directory.annotations import read_annotations
from qtha_lab.experiment.run_directory.events import SUMMARISED, Status, last_status, read_tail
from qtha_lab.experiment.run_directory.files import RunDir
from qtha_lab.experiment.serialisation import thin

NEEDED = ("trainable_parameters", "learning_rate")
SHARED = ("model", "task", "method", "seed")


def facts(run: RunDir) -> dict[str, Any]:
    """Return the facts that summaries state of a run, from its directory and description."""
    experiment, method = run.experiment, run.experiment.method
    return {
        "run_id": run.path.name,
        "model": experiment.model,
        "task": experiment.task,
        "task_options": experiment.task_options,
        "method": method.name,
        "label": method.label,
        "seed": experiment.seed,
        "options": method.options,
        "target_modules": method.target_modules,
        "quantization": experiment.quantization,
        "head": experiment.head,
    }


def flaw(summary: dict[str, Any] | None, stated: dict[str, Any]) -> str | None:
    """Describe why a summary does not belong to a run; None if it does."""
    if not summary:
        return "its summary.json is missing, broken or empty"
    for name in (*SHARED, "label"):
        if name in summary and not _same(name, summary[name], stated[name]):
            return (
                f"its summary.json belongs to another run: {name} is {summary[name]!r:.60}, "
                f"not {stated[name]!r:.60}"
            )
    return number_flaw(summary)


def number_flaw(summary: dict[str, Any]) -> str | None:
    """Describe a summary's first non-numeric measure; None if all are numbers."""
    for name in _numbers():
        value = summary.get(name)
        if not _is_number(value) and (name in NEEDED or value is not None):
            return f"its summary.json has no number as {name}"
    return None


def _numbers() -> tuple[str, ...]:
    return (*NEEDED, *recorded())


def _same(name: str, value: Any, expected: Any) -> bool:
    """Compare two values by meaning; labels may state their options in any order."""
    if name in ("model", "task") and isinstance(value, str):
        return shared_name(value) == shared_name(expected)
    if value == expected or name != "label":
        return value == expected
    try:
        return MethodChoice.parse(value) == MethodChoice.parse(expected)
    except (Refusal, TypeError, AttributeError) as reason:
        log.debug("label %r is of no method known here: %s", value, reason)
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


log = logging.getLogger(__name__)

FILES = ("experiment.yaml", "events.jsonl", "summary.json", "annotations.jsonl")
YOUNG_SECONDS = 2.0  # coarsest resolution of file times
LOG_LOST = "its events.jsonl is missing"

Stamp = list[list[int] | None]


@with_config(ConfigDict(extra="allow"))
class ChosenMethod(TypedDict):
    """Method in a description."""

    name: NotRequired[str]
    options: NotRequired[dict[str, Any]]


@with_config(ConfigDict(extra="allow"))
class ExperimentFields(TypedDict):
    """Nested parts of a description."""

    method: NotRequired[ChosenMethod]
    training: NotRequired[dict[str, Any]]
    task_options: NotRequired[dict[str, Any]]


class AnnotationFields(TypedDict):
    """Annotations as `Annotations.plain` returns them."""

    name: NotRequired[str]
    note: NotRequired[str]
    pinned: NotRequired[bool]
    tags: NotRequired[list[str]]


@dataclass(frozen=True)
class Record:
    """Content of one run directory.

    Attributes:
        stamp: Identifies the contents: change time, size and inode of each of `FILES`.
        unreadable: Reason why the directory is no readable run; None if it is readable.
        experiment: Description without default values.
        label: Method with its chosen options.
        status: Last state in the log, or in the summary if the log is lost.
        has_log: True if the run has an event log.
        summary: Summary of the run.
        flaw: Reason why the summary does not belong to this run; None if it does.
        origin: Launcher of the run, such as a sweep; None if a user launched it.
        annotations: Annotations as plain values.
    """

    stamp: Stamp
    unreadable: str | None = None
    experiment: ExperimentFields = dataclasses.field(default_factory=lambda: ExperimentFields())
    label: str = ""
    status: Status = dataclasses.field(default_factory=lambda: Status("unreadable", 0, 0))
    has_log: bool = False
    summary: dict[str, Any] | None = None
    flaw: str | None = None
    origin: dict[str, Any] | None = None
    annotations: AnnotationFields = dataclasses.field(default_factory=lambda: AnnotationFields())

    @property
    def is_final(self) -> bool:
        """True if every later change of a file changes the stamp.

        This requires that the newest file change is older than the resolution of file times.
        """
        newest = max((part[0] for part in self.stamp if part), default=0)
        return newest < (time.time() - YOUNG_SECONDS) * 1e9

    def plain(self) -> dict[str, Any]:
        """Convert the record to JSON values."""
        return {**vars(self), "status": vars(self.status)}

    @classmethod
    def from_plain(cls, value: dict[str, Any]) -> Record:
        """Build a record from the result of `plain`.

        Raises:
            Refusal: If the values have another form.
        """
        if value.keys() != cls.__dataclass_fields__.keys():
            raise Refusal("A record must have the fields of this version, got others.")
        try:
            record = _adapter().validate_python(value)
        except ValidationError as reason:
            raise Refusal(
                f"A record must have the form of this version, got {reason.error_count()} errors."
            ) from None
        if record.summary and not record.flaw and number_flaw(record.summary):
            raise Refusal("A record must hold numbers as measures, got other values.")
        return record


@functools.cache
def _adapter() -> TypeAdapter[Record]:
    return TypeAdapter(Record)


def stamp(folder: str | Path) -> Stamp:
    """Return the state of a run directory's files without reading them."""
    return [_stamp(f"{folder}/{name}") for name in FILES]


def _stamp(path: str) -> list[int] | None:
    try:
        stat = os.stat(path)
    except (OSError, ValueError) as reason:
        log.debug("no %s: %s", path, reason)
        return None
    return [stat.st_ctime_ns, stat.st_size, stat.st_ino]


def read_record(files: RunDir) -> Record:
    """Read the files of a run; damage in them becomes a sentence of the record."""
    before = stamp(files.path)  # a file that changes during the read is read again next time
    summary = read_mapping(files.summary)
    plain = read_annotations(files).plain() if before[-1] else {}
    annotations = cast("AnnotationFields", plain)
    if why := unreadable(files):
        return Record(
            before,
            why,
            status=Status("unreadable", 0, 0, why),
            summary=summary,
            annotations=annotations,
        )
    experiment = files.experiment
    who = {name: getattr(experiment, name) for name in ("model", "task", "seed")}
    who |= {"method": experiment.method.name, "label": experiment.method.as_chosen}
    wrong = flaw(summary, who)
    return Record(
        before,
        experiment=thin(experiment),
        label=who["label"] if wrong or not summary else summary.get("label", who["label"]),
        status=_status(files, experiment.training.steps, summary or {}),
        has_log=files.events.is_file(),
        summary=summary,
        flaw=wrong,
        origin=read_mapping(files.origin),
        annotations=annotations,
    )


def unreadable(files: RunDir) -> str | None:
    """Describe why a directory is no readable run; None if it is."""
    try:
        files.experiment  # noqa: B018  read and cached
    except Refusal as refused:
        return str(refused)
    except Exception as wrong:  # a damaged file can raise any exception
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
    """Return the last state in the log.

    If the log is lost, return the state of the summary; otherwise the run is queued.
    """
    if logged := last_status(read_tail(files.events), steps):
        return logged
    if (state := summary.get("state")) in SUMMARISED:
        step = summary.get("steps")
        return Status(state, step if isinstance(step, int) else 0, steps, LOG_LOST)
    return Status("queued", 0, steps)

"""Annotations of a run by users: name, tags, note and pin, in `annotations.jsonl`.

Each change is one appended line, so concurrent writers lose nothing and a killed process leaves all
earlier changes intact. Annotations do not affect the run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.experiment.run_directory.files import RunDir

LONGEST = {"name": 200, "note": 10_000, "tag": 60}


@dataclass(frozen=True)
class Annotations:
    """Annotations of a run: name, note, pin and tags.

    Example:
        >>> change = {"add": ["best"], "remove": ["old"], "pinned": True}
        >>> Annotations(tags=("old",)).changed(change)
        Annotations(name='', note='', pinned=True, tags=('best',))
    """

    name: str = ""
    note: str = ""
    pinned: bool = False
    tags: tuple[str, ...] = ()

    def changed(self, change: dict[str, Any]) -> Annotations:
        """Apply one change, as stored in a line of the file."""
        changes = {n: change[n] for n in ("name", "note", "pinned") if n in change}
        tags = dict.fromkeys([*self.tags, *change.get("add", ())])
        left = tuple(tag for tag in tags if tag not in change.get("remove", ()))
        return dataclasses.replace(self, **changes, tags=left)

    def plain(self) -> dict[str, Any]:
        """Return the non-empty annotations as JSON values."""
        fields = {"name": self.name, "note": self.note, "pinned": self.pinned}
        return {n: v for n, v in {**fields, "tags": list(self.tags)}.items() if v}


def read_annotations(run: RunDir) -> Annotations:
    """Read the annotations of a run; damaged lines are ignored."""
    annotations = Annotations()
    for event in read_events(run.annotations)[0]:
        if event["kind"] == "annotation":
            annotations = annotations.changed(event)
    return annotations


def annotate(
    run: RunDir,
    *,
    name: str | None = None,
    note: str | None = None,
    pinned: bool | None = None,
    add: Collection[str] = (),
    remove: Collection[str] = (),
) -> Annotations:
    """Change annotations of a run; None leaves a field unchanged.

    The change is on the disk when the function returns.

    Returns:
        Annotations after the change.

    Raises:
        Refusal: If a text is too long, a tag is empty or contains a comma, or the run is not
            writable.
    """
    if name is not None:
        name = _checked("name", " ".join(name.split()))
    if note is not None:
        note = _checked("note", note.strip())
    add, remove = [_tag(tag) for tag in add], [tag.strip() for tag in remove]
    change = {"name": name, "note": note, "pinned": pinned, "add": add, "remove": remove}
    change = {field: value for field, value in change.items() if value not in (None, [])}
    if change:
        _append(run, change)
    return read_annotations(run)


def _append(run: RunDir, change: dict[str, Any]) -> None:
    try:
        log = EventLog(run.annotations)
        try:
            log.append("annotation", **change)
        finally:
            log.close()
    except OSError as reason:
        raise Refusal(f"Run {run.path.name} cannot be annotated ({reason.strerror}).") from None


def _tag(tag: str) -> str:
    tag = tag.strip()
    if not tag or "," in tag or not tag.isprintable():
        raise Refusal(f"A tag must be a short text without a comma, got {tag!r:.80}.")
    return _checked("tag", tag)


def _checked(kind: str, text: str) -> str:
    if len(text) > LONGEST[kind]:
        raise Refusal(
            f"A {kind} must have at most {LONGEST[kind]:,} characters, got {len(text):,}."
        )
    return text

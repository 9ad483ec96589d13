"""What a person wrote on a run: a name, tags, a note, a pin; `marks.jsonl` in its directory.

Each change is one appended line, so that two writers lose nothing of each other's and a kill leaves every
change before it. Nothing of it alters what the run is or does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.experiment.run_directory.events import EventLog, read_events
from qtha_lab.experiment.run_directory.files import RunDir, sync

LONGEST = {"name": 200, "note": 10_000, "tag": 60}


@dataclass(frozen=True)
class Marks:
    """The name, the note, the pin and the tags of a run.

    Example:
        >>> Marks(tags=("warm",)).changed({"add": ["best"], "remove": ["warm"], "pinned": True})
        Marks(name='', note='', pinned=True, tags=('best',))
    """

    name: str = ""
    note: str = ""
    pinned: bool = False
    tags: tuple[str, ...] = ()

    def changed(self, change: dict[str, Any]) -> Marks:
        """The marks after one change, as a line of the file holds it."""
        changes = {n: change[n] for n in ("name", "note", "pinned") if n in change}
        tags = dict.fromkeys([*self.tags, *change.get("add", ())])
        left = tuple(tag for tag in tags if tag not in change.get("remove", ()))
        return dataclasses.replace(self, **changes, tags=left)

    def plain(self) -> dict[str, Any]:
        """The marks that there are, as JSON."""
        fields = {"name": self.name, "note": self.note, "pinned": self.pinned}
        return {n: v for n, v in {**fields, "tags": list(self.tags)}.items() if v}


def read_annotations(run: RunDir) -> Marks:
    """The marks of a run; a line that is broken changes nothing."""
    marks = Marks()
    for event in read_events(run.marks)[0]:
        if event["kind"] == "mark":
            marks = marks.changed(event)
    return marks


def mark(
    run: RunDir,
    *,
    name: str | None = None,
    note: str | None = None,
    pinned: bool | None = None,
    add: Collection[str] = (),
    remove: Collection[str] = (),
) -> Marks:
    """Change the marks of a run; None leaves one as it is. On the disk when this returns.

    Args:
        run: Its directory.
        name: A name of your own, shown beside the run; empty takes it away.
        note: Any text; empty takes it away.
        pinned: Whether the run is listed first.
        add: Tags to add.
        remove: Tags to take away.

    Returns:
        The marks after the change.

    Raises:
        Refusal: If a text is too long, a tag is empty or holds a comma, or the run cannot be written to.
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
        is_first = not run.marks.exists()
        log = EventLog(run.marks)
        try:
            log.append("mark", **change)
        finally:
            log.close()
        if is_first:
            sync(run.path)
    except OSError as reason:
        raise Refusal(f"run {run.path.name} cannot be marked: {reason.strerror}") from None


def _tag(tag: str) -> str:
    tag = tag.strip()
    if not tag or "," in tag or not tag.isprintable():
        raise Refusal(f"a tag is a word or a few, without a comma, not {tag!r:.80}")
    return _checked("tag", tag)


def _checked(kind: str, text: str) -> str:
    if len(text) > LONGEST[kind]:
        raise Refusal(f"a {kind} has at most {LONGEST[kind]:,} characters, not {len(text):,}")
    return text

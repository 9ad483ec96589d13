"""What a person wrote on a run: a title, tags, a note, a pin; `marks.json` in its directory.

Nothing of it changes what the run is or does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from qtha_lab.errors import Refusal
from qtha_lab.rundir.files import read_mapping, write_json

NAME = "marks.json"
LONGEST = {"title": 200, "note": 10_000, "tag": 60}


@dataclass(frozen=True)
class Marks:
    """Title, tags, note and pin of a run.

    Example:
        >>> Marks(tags=("warm",)).changed(add=["best"], remove=["warm"], pinned=True)
        Marks(title='', tags=('best',), note='', pinned=True)
    """

    title: str = ""
    tags: tuple[str, ...] = ()
    note: str = ""
    pinned: bool = False

    def changed(
        self,
        *,
        title: str | None = None,
        note: str | None = None,
        add: list[str] | tuple[str, ...] = (),
        remove: list[str] | tuple[str, ...] = (),
        pinned: bool | None = None,
    ) -> Marks:
        """The marks with some of them changed; None leaves one as it is.

        Args:
            title: A name of your own; empty takes it away.
            note: Any text; empty takes it away.
            add: Tags to add.
            remove: Tags to take away.
            pinned: Whether the run is listed first.

        Raises:
            Refusal: If a text is too long, or a tag is empty or holds a comma.
        """
        for kind, texts in {"title": [title or ""], "note": [note or ""], "tag": add}.items():
            for text in texts:
                if len(text) > LONGEST[kind]:
                    raise Refusal(
                        f"a {kind} may have {LONGEST[kind]:,} characters, not {len(text):,}"
                    )
        for tag in add:
            if not tag.strip() or "," in tag or not tag.isprintable():
                raise Refusal(f"a tag is a word or a few, without a comma, not {tag!r}")
        tags = dict.fromkeys([*self.tags, *(tag.strip() for tag in add)])
        kept = tuple(tag for tag in tags if tag not in remove)
        changes: dict[str, Any] = {"title": title, "note": note, "pinned": pinned}
        given = {name: value for name, value in changes.items() if value is not None}
        return replace(self, tags=kept, **given)


def read_marks(folder: Path) -> Marks:
    """The marks of a run; whatever is broken in the file counts as not there."""
    return marks_of(read_mapping(folder / NAME) or {})


def marks_of(value: dict[str, Any]) -> Marks:
    """Marks from plain values, leaving out what is none."""
    texts = {n: value[n] for n in ("title", "note") if isinstance(value.get(n), str)}
    tags = value.get("tags") if isinstance(value.get("tags"), list | tuple) else ()
    words = tuple(tag for tag in tags or () if isinstance(tag, str))
    return Marks(**texts, tags=words, pinned=value.get("pinned") is True)


def write_marks(folder: Path, marks: Marks) -> None:
    """Write the marks, whole or not at all."""
    write_json(folder / NAME, asdict(marks))

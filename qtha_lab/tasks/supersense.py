"""Classify a gloss by WordNet's supersenses: noun.animal, verb.motion and 39 more."""

from collections.abc import Iterator
from dataclasses import dataclass

from qtha_lab.core.settings import setting
from qtha_lab.tasks.registry import shipped_rows, task


@task(
    "supersense",
    summary="classify a gloss by 41 kinds of things and actions (9,858 glosses)",
    kind="classification",
    key_name="word",
    source="WordNet 3.0 (Princeton University; Debian wordnet-base)",
    open_rows=1024,
    licence="WordNet 3.0 license",
)
@dataclass(frozen=True)
class Supersense:
    """Options of the task; no word or gloss is on two sides of the split."""

    part: str = setting("all", "Labels to include.", choices=("all", "noun", "verb"))

    def rows(self) -> Iterator[dict]:
        """Yield all rows, in the order of the file."""
        for row in shipped_rows("supersense"):
            if self.part == "all" or row["label"].startswith(self.part):
                yield {"text": row["text"], "label": row["label"], "key": row["word"]}

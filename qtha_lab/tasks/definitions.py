"""Define a word: the most frequent sense of WordNet's nouns and verbs."""

from collections.abc import Iterator
from dataclasses import dataclass

from qtha_lab.core.settings import setting
from qtha_lab.tasks.registry import question_and_answer, shipped_rows, task


@task(
    "definitions",
    summary="define a noun or a verb (14,583 words)",
    kind="lm",
    key_name="word",
    source="WordNet 3.0 (Princeton University; Debian wordnet-base)",
    open_rows=1024,
    licence="WordNet 3.0 license",
)
@dataclass(frozen=True)
class Definitions:
    """Options of the task; no word or gloss is on two sides of the split."""

    part: str = setting("all", "Words to include.", choices=("all", "noun", "verb"))

    def rows(self) -> Iterator[dict]:
        """Yield all rows, in the order of the file."""
        for row in shipped_rows("definitions"):
            if self.part in ("all", row["pos"]):
                prompt = f'What does the {row["pos"]} "{row["word"]}" mean?'
                yield question_and_answer(prompt, row["gloss"], key=row["word"])

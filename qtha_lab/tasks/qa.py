"""Short questions and answers: small talk, trivia, definitions."""

from collections.abc import Iterator
from dataclasses import dataclass

from qtha_lab.tasks.registry import question_and_answer, shipped_rows, task


@task(
    "qa",
    summary="answer a short question (657 pairs, one answer a question)",
    kind="lm",
    key_name="answer",
    source="PyPI chatterbot-corpus 1.3.3, English, without tech_support",
    licence="BSD (as the package declares)",
)
@dataclass(frozen=True)
class Qa:
    """Shipped questions and answers; no answer is on two sides of the split."""

    def rows(self) -> Iterator[dict]:
        """Yield all rows, in the order of the file."""
        for row in shipped_rows("qa"):
            yield question_and_answer(row["prompt"], row["response"], key=row["response"])

"""A task in one file: adding two numbers in words of a chat, 465 questions at its defaults.

qtha-lab compare --plugins examples/sums.py --task sums --task-options highest=50 --methods
lora,qtha --steps 60
"""

import dataclasses
from collections.abc import Iterator

from qtha_lab.plugins import question_and_answer, setting, task


@task(
    "sums",
    summary="add two whole numbers",
    kind="lm",
    source="an example of this project; computed",
    licence="none needed: computed",
)
@dataclasses.dataclass(frozen=True)
class Sums:
    """Its settings; `rows` gives the data, always in the same order."""

    highest: int = setting(30, "The largest number that is added.", ge=2, le=1000)

    def rows(self) -> Iterator[dict]:
        """One question per pair of numbers.

        Two rows of one key never stand on both sides of the split.
        """
        for a in range(1, self.highest + 1):
            for b in range(a, self.highest + 1):
                yield question_and_answer(f"What is {a} plus {b}?", f"{a + b}", key=f"{a} {b}")

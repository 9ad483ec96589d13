"""Recall random pairs of a key and a value, which no rule predicts."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from qtha_lab.core.settings import setting
from qtha_lab.tasks.registry import question_and_answer, task
from qtha_lab.tasks.splits import in_pretraining_pool


@task(
    "recall",
    summary="recall the value of a random key (1,000 pairs; evaluated on trained pairs)",
    kind="lm",
    key_name="value",
    source="random, after MoRA (Jiang et al. 2024, arXiv:2405.12130), which uses UUIDs",
    licence="CC0-1.0",
    memorised=True,
)
@dataclass(frozen=True)
class Recall:
    """Options of the task, whose loss measures the capacity of an update."""

    pairs: int = setting(1000, "Pairs to memorise.", ge=800, le=100_000, common=True)
    length: int = setting(8, "Hexadecimal digits of a key and of a value.", ge=4, le=32)

    def rows(self) -> Iterator[dict]:
        """Yield the pairs, the same at every call."""
        number = count = 0
        while count < self.pairs:
            digits = hashlib.sha512(f"recall {number}".encode()).hexdigest()
            key, value = digits[: self.length], digits[64 : 64 + self.length]
            number += 1
            if not in_pretraining_pool(value):
                count += 1
                yield question_and_answer(f"What is the value of {key}?", value, key=value)

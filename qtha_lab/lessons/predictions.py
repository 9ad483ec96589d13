"""Declarations of predictions, and the stored answers of a reader.

A question has options, a number or a curve of five points as its answer. The text file of the
lesson declares it:

    [[prediction]]
    number = "1.a"
    question = "How many entries of ΔW are not zero at the start?"
    options = ["8", "0"]
    [prediction.misconceptions]
    "8" = "A starts at random numbers, but B starts at zero"

Without a reader, as in an executed notebook, a prediction counts as skipped.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qtha_lab.core.errors import Refusal
from qtha_lab.core.reader_page import has_reader
from qtha_lab.core.registry import Registry
from qtha_lab.lessons import saved_answers

PREDICTIONS: Registry["Prediction"] = Registry(
    "prediction", "qtha_lab.lessons", prefix="lesson_texts"
)
SKIP = "skip"
POINTS = 5  # of a sketched curve


@dataclass(frozen=True)
class Prediction:
    """Declaration of one prediction.

    Attributes:
        number: Lesson and letter, `"1.a"`.
        question: The question, as a sentence.
        options: Answers to choose from; empty for a number or a sketch.
        sketch: Places of the five points of a curve on the x axis; empty otherwise.
        labels: Titles of the axes of a sketch.
        limits: Lowest and highest value of a sketch.
        answer: The right option, where no measurement decides.
        misconceptions: Reason by wrong option.
    """

    number: str
    question: str
    options: tuple[str, ...] = ()
    sketch: tuple[float, ...] = ()
    labels: tuple[str, str] = ("x", "y")
    limits: tuple[float, float] = (0.0, 1.0)
    answer: Any = None
    misconceptions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        if not re.fullmatch(r"\d+\.[a-z]", self.number):
            raise Refusal(
                f"number must be a lesson and a letter such as '1.a', got {self.number!r}."
            )
        if self.sketch and len(self.sketch) != POINTS:
            raise Refusal(f"sketch must have {POINTS} places, got {len(self.sketch)}.")
        unknown = set(self.misconceptions) - set(self.options) if self.options else set()
        if unknown or (self.options and self.answer not in (None, *self.options)):
            named = ", ".join(sorted(unknown)) or self.answer
            raise Refusal(f"Reasons and answer of {self.number} must be options, got {named}.")

    def read(self, answer: Any) -> Any:
        """Return an answer as plain data.

        Raises:
            Refusal: If it is no option, no number or not five numbers.
        """
        if isinstance(answer, str) and answer == SKIP:
            return SKIP
        if self.options:
            if str(answer) not in self.options:
                known = ", ".join(self.options)
                raise Refusal(f"The prediction must be one of {known}, got {answer!s:.60}.")
            return str(answer)
        try:
            values = [float(value) for value in (answer if self.sketch else [answer])]
        except (TypeError, ValueError):
            values = []
        if len(values) != (POINTS if self.sketch else 1) or not np.isfinite(values).all():
            wanted = f"{POINTS} numbers" if self.sketch else "a number"
            raise Refusal(f"The prediction must be {wanted}, got {answer!r:.60}.")
        return values if self.sketch else values[0]


def answer_to(number: str) -> Any:
    """Return the kept answer to a prediction: "skip", plain data, or None without one."""
    return saved_answers.entry("predictions", number).get("answer")


def is_open(number: str) -> bool:
    """Return True if a reader is there who has neither answered nor skipped a prediction."""
    return has_reader() and answer_to(number) is None

"""Schema of the text files of lessons: predictions, builds, exercises and misconceptions.

`check`, `grader` and the names of properties are functions of the lesson's module in `graders`.
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from qtha_lab.lessons import grading
from qtha_lab.lessons.toml_file import TextModel


class PropertyText(TextModel):
    """Property of a right answer.

    Attributes:
        reason: Fault of an answer without the property.
        check: Predicate of the answer; the name of the property without one.
        arguments: Further arguments of the predicate, written as `with`.
    """

    reason: str
    check: str = ""
    arguments: dict[str, Any] = Field({}, alias="with")


def _property(value: Any) -> Any:
    return {"reason": value} if isinstance(value, str) else value


class MistakeText(TextModel):
    """Mistake to be expected.

    Attributes:
        code: Code that leaves the wrong answer.
        change: Part of the solution that the mistake replaces, in place of `code`.
        to: Text in place of that part.
        reason: Fault of the answer.
        lacks: Property whose reason is the fault, in place of `reason`.
    """

    code: str = ""
    change: str = ""
    to: str = ""
    reason: str = ""
    lacks: str = ""


class ExerciseText(TextModel):
    """Text of an exercise, with the fields of `registry.Exercise`.

    Attributes:
        right: Right number or whole numbers.
        rtol: Relative tolerance of a number.
        rubric: Points that a complete explanation makes.
        model_answer: Explanation that makes all of them; the solution follows from it.
        grader: Grader of a function.
        properties: Properties of a right answer, in order; after `right` or `grader`, properties
            that an answer with right values must have.
        changes: Further mistakes, each a part of the solution, the text in its place and the fault.
    """

    number: str
    title: str
    difficulty: int
    minutes: int
    kind: str = "F"
    answer: str
    hints: tuple[str, ...]
    remark: str
    solution: str = ""
    setup: str = ""
    right: float | tuple[int, ...] | None = None
    rtol: float = grading.EXACT
    rubric: tuple[str, ...] = ()
    model_answer: str = ""
    grader: str = ""
    properties: dict[str, Annotated[PropertyText, BeforeValidator(_property)]] = Field({})
    ranges: dict[str, tuple[int | float, ...]] = Field({})
    phrases: tuple[str, ...] = ()
    mistakes: tuple[MistakeText, ...] = ()
    changes: tuple[tuple[str, str, str], ...] = ()


class PredictionText(TextModel):
    """Text of a prediction, with the fields of `predictions.Prediction`."""

    number: str
    question: str
    is_number: bool = False
    options: tuple[str, ...] = ()
    sketch: tuple[float, ...] = ()
    labels: tuple[str, str] = ("x", "y")
    limits: tuple[float, float] = (0.0, 1.0)
    answer: str | None = None
    misconceptions: dict[str, str] = Field({})


class StepText(TextModel):
    """Step of a build: its sentence, and its check."""

    check: str
    sentence: str


class BuildMistakeText(TextModel):
    """Mistake in a build: change of the solution, check and cause."""

    change: str
    to: str
    fails: str
    reason: str


class BuildText(TextModel):
    """Text of a build, with the fields of `builds.BuildTask`.

    Attributes:
        needs: Builds whose solutions the setup holds.
    """

    number: str
    name: str
    minutes: int
    tolerance: float = 1e-6
    needs: tuple[str, ...] = ()
    setup: str = ""
    hints: tuple[str, str, str]
    drawing: str
    stub: str
    solution: str
    steps: tuple[StepText, ...]
    mistakes: tuple[BuildMistakeText, ...] = ()


class MisconceptionText(TextModel):
    """Misconception that a lesson addresses.

    Attributes:
        sentence: The misconception, as its holder would state it.
        question: Prediction or exercise that a holder answers wrong.
        answer: The holder's option of the prediction, or words of the reason for the holder's
            answer to the exercise.
    """

    sentence: str
    question: str
    answer: str


class LessonText(TextModel):
    """Text file of one lesson."""

    prediction: tuple[PredictionText, ...] = ()
    build: tuple[BuildText, ...] = ()
    exercise: tuple[ExerciseText, ...] = ()
    misconception: tuple[MisconceptionText, ...] = ()

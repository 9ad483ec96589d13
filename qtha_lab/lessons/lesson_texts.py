"""Predictions, builds and exercises of the text files beside the notebooks.

`notebooks/03_circuits.toml` holds the texts of lesson 3, and names its checks, which are code: the
check `one_wire` is the function `_one_wire` of `graders/lesson_03.py`. Errors name file and line.
"""

import functools
import importlib
import re
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.lessons import grading
from qtha_lab.lessons.builds import BUILDS, BuildMistake, BuildTask
from qtha_lab.lessons.object_graders import Construction, Property, WrittenAnswer
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.registry import Exercise, Mistake, declare_exercise
from qtha_lab.lessons.text_schema import (
    BuildText,
    ExerciseText,
    LessonText,
    MistakeText,
    PredictionText,
)
from qtha_lab.lessons.toml_file import TomlFile

GRADERS = "qtha_lab.lessons.graders"
FILE = re.compile(r"([01]\d)_\w+")


def load_lesson(path: Path, graders: str) -> LessonText:
    """Declare the predictions, builds and exercises of a text file, and return the file.

    Args:
        path: Text file of a lesson.
        graders: Module with its checks.

    Raises:
        Refusal: If the file violates the schema or the limits of an entry, with the line.
    """
    file = TomlFile(path)
    lesson = file.parsed(LessonText)
    declare = _Declarations(file, graders, {build.number: build for build in lesson.build})
    for kind in ("prediction", "build", "exercise"):
        for place, entry in enumerate(getattr(lesson, kind)):
            with file.at(kind, place):
                getattr(declare, kind)(entry, place)
    return lesson


class _Declarations:
    """Declarations of one file, whose checks are in a module."""

    def __init__(self, file: TomlFile, graders: str, builds: dict[str, BuildText]):
        self.file, self.graders, self.builds = file, graders, builds

    def prediction(self, text: PredictionText, _place: int) -> None:
        if sum([bool(text.options), bool(text.sketch), text.is_number]) != 1:
            raise Refusal(
                "A prediction must state one of options, sketch and is_number, got another "
                f"number of them in {text.number}."
            )
        entry = Prediction(**text.model_dump(exclude={"is_number"}))
        PREDICTIONS.add(text.number, entry, self.graders)

    def build(self, text: BuildText, place: int) -> None:
        steps, mistakes, solution = {}, [], text.solution.strip()
        for number, step in enumerate(text.steps):
            with self.file.at("build", place, "steps", number):
                steps[step.check] = step.sentence, self._code(step.check)
        for number, mistake in enumerate(text.mistakes):
            with self.file.at("build", place, "mistakes", number):
                if mistake.fails not in steps:
                    raise Refusal(f"fails must be a step, got {shortened(mistake.fails)!r}.")
                code = _changed(solution, mistake.change, mistake.to)
                sentence = steps[mistake.fails][0]
                mistakes.append(BuildMistake(code, sentence, mistake.reason))
        entry = BuildTask(
            **text.model_dump(include={"number", "name", "minutes", "tolerance", "hints"}),
            drawing=text.drawing.strip("\n"),
            stub=text.stub.strip(),
            steps=tuple(steps.values()),
            solution=solution,
            setup=self._setup(text),
            mistakes=tuple(mistakes),
        )
        BUILDS.add(text.number, entry, self.graders)

    def exercise(self, text: ExerciseText, place: int) -> None:
        explanation = f'{text.answer} = """\n{text.model_answer.strip()}\n"""'
        solution = text.solution.strip() or explanation
        properties: list[Property] = [
            (functools.partial(self._code(one.check or name), **one.arguments), one.reason)
            for name, one in text.properties.items()
        ]
        mistakes: list[Mistake] = []
        for number, mistake in enumerate(text.mistakes):
            with self.file.at("exercise", place, "mistakes", number):
                mistakes.append(_mistake(text, solution, mistake))
        changes = [(m.change, m.to, m.reason) for m in text.mistakes if m.change and m.reason]
        with self.file.at("exercise", place, "changes"):
            mistakes += [(_changed(solution, *pair), why) for *pair, why in text.changes]
        grader: Any = Construction(tuple(properties))
        further: dict[str, Any] = {}
        if text.grader or text.rubric or text.right is not None:
            grader = self._code(text.grader) if text.grader else _grader(text)
            further = {"extra_check": functools.partial(_check_further, properties)}
        fields = {"number", "title", "difficulty", "minutes", "answer", "hints", "remark", "kind"}
        entry = Exercise(
            **text.model_dump(include=fields | {"ranges", "phrases"}),
            solution=solution,
            setup=text.setup.strip(),
            mistakes=tuple(mistakes),
            changes=(*changes, *text.changes),
            grader=grader,
            **further,
        )
        declare_exercise(entry, self.graders)

    def _setup(self, text: BuildText) -> str:
        """Return the code before a build, with the solutions of needed builds."""
        parts: list[str] = []
        for number in text.needs:
            if number not in self.builds:
                raise Refusal(f"needs must be builds of the file, got {shortened(number)!r}.")
            needed = self.builds[number]
            parts += [self._setup(needed), needed.solution.strip()]
        return "\n\n\n".join(filter(None, dict.fromkeys([*parts, text.setup.strip()])))

    def _code(self, name: str) -> Any:
        """Return a check of the lesson, otherwise a check that lessons share."""
        for module in (self.graders, f"{GRADERS}.shared"):
            found = vars(importlib.import_module(module))
            for known in (found.get(f"_{name}"), found.get(name)):
                if callable(known) or hasattr(known, "check"):
                    return known
        raise Refusal(f"A check must be a function of {self.graders}, got {shortened(name)!r}.")


def _grader(text: ExerciseText) -> grading.Number | grading.WholeNumbers | WrittenAnswer:
    if text.rubric:
        return WrittenAnswer(rubric=text.rubric, model_answer=text.model_answer.strip())
    if isinstance(text.right, tuple):
        return grading.WholeNumbers(text.right)
    return grading.Number(text.right or 0.0, text.rtol)


def _mistake(text: ExerciseText, solution: str, mistake: MistakeText) -> Mistake:
    reason = mistake.reason
    if mistake.lacks:
        if mistake.lacks not in text.properties:
            raise Refusal(f"lacks must be a property, got {shortened(mistake.lacks)!r}.")
        reason = text.properties[mistake.lacks].reason
    if mistake.change:
        return _changed(solution, mistake.change, mistake.to), reason
    return mistake.code.strip(), reason


def _changed(solution: str, change: str, to: str) -> str:
    change = change.strip("\n")
    if solution.count(change) != 1:
        raise Refusal(
            f"change must occur once in the solution, got {solution.count(change)} places."
        )
    return solution.replace(change, to.strip("\n"))


def _check_further(properties: list[Property], answer: Any) -> None:
    for holds, reason in properties:
        if not holds(answer):
            raise grading.WrongAnswer(reason)


LESSONS = {
    int(found[1]): load_lesson(file, f"{GRADERS}.lesson_{found[1]}")
    for file in sorted(notebooks_dir().glob("*.toml"))
    if (found := FILE.fullmatch(file.stem))
}
"""Text of each lesson, by its number."""

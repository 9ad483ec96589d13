"""The lecturer's pages: key, rubrics and syllabus."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.kit import rubrics
from qtha_lab.lessons.kit.boards import board_drawing
from qtha_lab.lessons.kit.class_paths import class_paths
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.kit.markup import write_page, write_pdf
from qtha_lab.lessons.kit.misconceptions import Misconception, misconceptions_of
from qtha_lab.lessons.kit.pictures import pictures
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.questions import as_text
from qtha_lab.lessons.registry import EXERCISES, Exercise

Member = TypeVar("Member")
SLOW = 10  # minutes of an exercise at which a class loses time
MANUAL = "E exercises are graded by a person; other points come from the tests."


@dataclass(frozen=True)
class KeyLesson:
    """Answers and difficult places of one lesson.

    Attributes:
        page: Executed lesson.
        predictions: Each with its answer.
        builds: Builds of the lesson.
        exercises: Exercises of the lesson.
    """

    page: LessonPage
    predictions: tuple[tuple[Prediction, str], ...]
    builds: tuple[BuildTask, ...]
    exercises: tuple[Exercise, ...]

    @property
    def slow(self) -> list[Exercise]:
        """Exercises at which a class loses time, longest first."""
        slow = [e for e in self.exercises if e.minutes >= SLOW]
        return sorted(slow, key=lambda e: -e.minutes)

    @property
    def misconceptions(self) -> list[Misconception]:
        """Misconceptions that the lesson names."""
        return misconceptions_of(self.page.number)

    @property
    def board(self) -> str:
        """Drawing for the board, else the first picture of the lesson; empty without one."""
        if drawn := board_drawing(self.page.number):
            return drawn.svg()
        return next((p.html for c in self.page.cells for p in pictures(c)), "")


def key_lessons(pages: Sequence[LessonPage]) -> list[KeyLesson]:
    """Return the key of lessons, from the registries.

    Args:
        pages: Lessons, executed for the answers of predictions that a measurement decides.
    """
    return [_key_lesson(page) for page in pages]


def _key_lesson(page: LessonPage) -> KeyLesson:
    places = [cell.number for cell in page.cells]

    def own(registry: Mapping[str, Member]) -> list[Member]:
        """Return the members of this lesson, in its order."""
        numbers = [n for n in registry if n.split(".")[0] == str(page.number)]
        order = {n: places.index(n) if n in places else len(places) for n in numbers}
        return [registry[n] for n in sorted(numbers, key=lambda n: order[n])]

    questions = tuple((p, _answer(p, page)) for p in own(PREDICTIONS))
    return KeyLesson(page, questions, tuple(own(BUILDS)), tuple(own(EXERCISES)))


def _answer(prediction: Prediction, page: LessonPage) -> str:
    measured = page.result_of(prediction.number)
    if measured or prediction.answer is None:
        return measured or "Measured on the page."
    return f"It is {as_text(prediction.answer)}."


def write_teacher_pages(pages: Sequence[LessonPage], folder: Path) -> list[Path]:
    """Write key, rubrics and syllabus, as pages and as PDF.

    Returns:
        The written files.
    """
    key = key_lessons(pages)
    explained = [
        (e, rubrics.criteria(e, lesson.page), rubrics.model_answer(e, lesson.page))
        for lesson in key
        for e in lesson.exercises
        if rubrics.is_explained(e)
    ]
    points = {n: rubrics.points_of(n) for n in [*BUILDS, *EXERCISES]}
    documents = {
        "key": {"lessons": key, "points": points},
        "rubrics": {"explained": explained, "rule": MANUAL},
        "syllabus": {"paths": class_paths(pages)},
    }
    files = []
    for name, values in documents.items():
        page = write_page(folder / f"{name}.html", name, **values)
        files += [page, write_pdf(page, folder / f"{name}.pdf")]
    return files

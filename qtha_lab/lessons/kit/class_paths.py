"""Class paths of 90 minutes, one day and four weeks, with minute marks.

`class_paths.toml` states them. A session of lessons takes their stated minutes; where these exceed
its time, the hardest and longest exercises are left for home, then the longest builds.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path

from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.kit.lesson_page import LessonPage, lesson_files
from qtha_lab.lessons.registry import Exercise, exercises
from qtha_lab.lessons.toml_file import TextModel, TomlFile


class ClassStep(TextModel):
    """One step of a class.

    Attributes:
        minutes: Length.
        title: Activity.
        lesson: Number of the lesson that is shown; None for a pause.
        home: Exercises and builds that are left for home.
        sections: Sections of the lesson whose slides are shown, by the start of their headings.
    """

    minutes: int
    title: str
    lesson: int | None = None
    home: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


class ClassSession(TextModel):
    """One meeting of a class: title and steps, or lessons for its minutes."""

    title: str
    minutes: int
    steps: tuple[ClassStep, ...] = ()
    lessons: tuple[int, ...] = ()

    def schedule(self) -> list[tuple[int, int, ClassStep]]:
        """Return start and end in minutes of every step."""
        ends = accumulate(step.minutes for step in self.steps)
        return [(end - s.minutes, end, s) for end, s in zip(ends, self.steps, strict=True)]


class ClassPath(TextModel):
    """A course: its title, its needs and its sessions."""

    title: str
    needs: str
    session: tuple[ClassSession, ...]


class ClassPaths(TextModel):
    """Class paths of the file; the first is that of 90 minutes."""

    path: tuple[ClassPath, ...]


PATHS = TomlFile(Path(__file__).with_suffix(".toml")).parsed(ClassPaths).path
NINETY = PATHS[0].session[0].steps


def class_paths(pages: Sequence[LessonPage]) -> list[ClassPath]:
    """Return the class paths with lessons as steps; one path for some lessons."""
    by_number = {page.number: page for page in pages}
    if len(pages) < len(lesson_files()):
        minutes = sum(page.minutes for page in pages)
        chosen = ClassSession(title="In this order", minutes=minutes, lessons=tuple(by_number))
        chosen = _planned(chosen, by_number)
        return [ClassPath(title="Chosen lessons", needs=PATHS[1].needs, session=(chosen,))]
    return [
        path.model_copy(update={"session": tuple(_planned(s, by_number) for s in path.session)})
        for path in PATHS
    ]


def _planned(session: ClassSession, by_number: Mapping) -> ClassSession:
    """Return a session whose lessons are steps, with the tasks that are left for home."""
    pages = [by_number[number] for number in session.lessons]
    home = _left_for_home(pages, session.minutes)
    steps = session.steps + tuple(
        ClassStep(
            minutes=page.minutes - sum(e.minutes for e in _of(page, home)),
            title=page.title,
            lesson=page.number,
            home=tuple(e.number for e in _of(page, home)),
        )
        for page in pages
    )
    return session.model_copy(update={"steps": steps})


Task = Exercise | BuildTask


def _of(page: LessonPage, chosen: Iterable[Task]) -> list[Task]:
    return [task for task in chosen if task.number.split(".")[0] == str(page.number)]


def _left_for_home(pages: Sequence[LessonPage], budget: int) -> list[Task]:
    """Return tasks to omit until the lessons fit: exercises, then builds, longest first."""
    over = sum(page.minutes for page in pages) - budget
    home: list[Task] = []
    for task in sorted((t for page in pages for t in _of(page, _tasks())), key=_order):
        if over <= 0:
            break
        home.append(task)
        over -= task.minutes
    return sorted(home, key=lambda task: task.number)


def _tasks() -> list[Task]:
    return [*exercises(), *BUILDS.values()]


def _order(task: Task) -> tuple[int, int, str]:
    difficulty = task.difficulty if isinstance(task, Exercise) else 0
    return -difficulty, -task.minutes, task.number

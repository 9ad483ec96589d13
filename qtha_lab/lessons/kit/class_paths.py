"""Class paths of 90 minutes, one day and four weeks, with minute marks.

The path of 90 minutes names its steps. The others take the stated minutes of their lessons; where
these exceed the time, the hardest and longest exercises are left for home.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.registry import Exercise, exercises


@dataclass(frozen=True)
class ClassStep:
    """One step of a class.

    Attributes:
        minutes: Length.
        title: Activity.
        lesson: Number of the lesson that is shown; None for a pause.
        home: Exercises that are left for home.
        sections: Sections of the lesson whose slides are shown, by the start of their headings.
    """

    minutes: int
    title: str
    lesson: int | None = None
    home: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClassSession:
    """One meeting of a class: its title and its steps."""

    title: str
    steps: tuple[ClassStep, ...]

    def schedule(self) -> list[tuple[int, int, ClassStep]]:
        """Return start and end in minutes of every step."""
        ends = [sum(step.minutes for step in self.steps[: n + 1]) for n in range(len(self.steps))]
        return [(end - s.minutes, end, s) for end, s in zip(ends, self.steps, strict=True)]


@dataclass(frozen=True)
class ClassPath:
    """A course: its title, its needs and its sessions."""

    title: str
    needs: str
    sessions: tuple[ClassSession, ...]


NINETY = (
    ClassStep(
        8,
        "BudgetBar: which parts hold the parameters? Predict by show of hands.",
        0,
        sections=("3 · ",),
    ),
    ClassStep(
        14,
        "Build RY, CNOT and ⟨Z⟩ on the board, then in twelve lines.",
        3,
        sections=("1 · ", "2 · "),
    ),
    ClassStep(
        12,
        "The Circuit explorer: product ansatz against QTHA's.",
        3,
        sections=("3 · ", "What could"),
    ),
    ClassStep(
        14,
        "DataPath: one token through QTHA. How large is the circuit's share?",
        6,
        sections=("1 · ", "2 · ", "6 · "),
    ),
    ClassStep(4, "Pause."),
    ClassStep(
        14, "The race at one shared rate: the class writes the abstract.", 7, sections=("1 · ",)
    ),
    ClassStep(10, "Each method at its own rate: the abstract is corrected.", 7, sections=("2 · ",)),
    ClassStep(10, "FoolingMachine, then the forest of twenty seeds.", 9, sections=("4 · ", "3 · ")),
    ClassStep(4, "Exit ticket: which control would you ask for?", 9),
)
DAY = (("Morning", (0, 1, 3), 180), ("Afternoon", (6, 7, 9), 180))
WEEKS = (
    ("Week 1", (0, 1, 2), 180),
    ("Week 2", (3, 4, 5), 180),
    ("Week 3", (6, 7, 8), 180),
    ("Week 4", (9, 10, 11, 12), 240),
)


def class_paths(pages: Sequence[LessonPage]) -> list[ClassPath]:
    """Return the three class paths, with the lessons that exist."""
    by_number = {page.number: page for page in pages}
    ninety = tuple(step for step in NINETY if step.lesson is None or step.lesson in by_number)
    recorded = "A projector and the slides. Everything shown is recorded; students install nothing."
    return [
        ClassPath("90 minutes", recorded, (ClassSession("One session", ninety),)),
        ClassPath("One day", "A laptop per pair, with the toy model.", _sessions(DAY, by_number)),
        ClassPath("Four weeks", "A laptop per student, or Colab.", _sessions(WEEKS, by_number)),
    ]


def _sessions(plan, by_number: dict[int, LessonPage]) -> tuple[ClassSession, ...]:
    sessions = []
    for title, lessons, budget in plan:
        pages = [by_number[number] for number in lessons if number in by_number]
        home = _left_for_home(pages, budget)
        steps = tuple(
            ClassStep(
                page.minutes - sum(e.minutes for e in _of(page, home)),
                page.title,
                page.number,
                tuple(e.number for e in _of(page, home)),
            )
            for page in pages
        )
        sessions.append(ClassSession(title, steps))
    return tuple(sessions)


def _of(page: LessonPage, chosen: Sequence[Exercise]) -> list[Exercise]:
    return [e for e in chosen if e.number.split(".")[0] == str(page.number)]


def _left_for_home(pages: Sequence[LessonPage], budget: int) -> list[Exercise]:
    """Return exercises to omit until the lessons fit, hardest and longest first."""
    over = sum(page.minutes for page in pages) - budget
    candidates = [e for page in pages for e in _of(page, exercises())]
    home: list[Exercise] = []
    for exercise in sorted(candidates, key=lambda e: (-e.difficulty, -e.minutes, e.number)):
        if over <= 0:
            break
        home.append(exercise)
        over -= exercise.minutes
    return sorted(home, key=lambda e: e.number)

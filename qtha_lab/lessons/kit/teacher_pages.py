"""Misconceptions that the lessons address, each with a question that a holder answers wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from qtha_lab.figures import circuit_diagram, mpo_diagram
from qtha_lab.figures.loss_against_rate import loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.kit import rubrics
from qtha_lab.lessons.kit.class_paths import class_paths
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.kit.markup import pictures, write_page, write_pdf
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.questions import as_text
from qtha_lab.lessons.recordings import recorded
from qtha_lab.lessons.registry import EXERCISES, Exercise


@dataclass(frozen=True)
class Misconception:
    """One misconception.

    Attributes:
        lesson: Lesson that names it.
        sentence: The misconception, as its holder would state it.
        question: Number of a prediction or exercise.
        answer: The holder's answer: an option of the prediction, or words of the declared reason
            for the exercise's wrong answer.
    """

    lesson: int
    sentence: str
    question: str
    answer: str


MISCONCEPTIONS = tuple(
    Misconception(*row)
    for row in (
        (0, "The circuit holds the parameters.", "0.1", "the share that is not quantum"),
        (0, "The same r is the same size.", "0.2", "the same name is not the same size"),
        (1, "LoRA makes intruder dimensions; full fine-tuning does not.", "1.5", "a cause needs a"),
        (1, "The rank of a sum is the larger rank.", "1.1", "lie in the span of the larger"),
        (1, "α is capacity, not a learning rate.", "1.2", "a doubled α acts as a doubled rate"),
        (2, "A low-rank change is cheap for a tensor train.", "2.c", "near 0"),
        (2, "Smooth means cheap.", "2.d", "both"),
        (2, "A bond is 1, 2 or 4.", "2.1", "two terms suffice, as for a CNOT"),
        (2, "QTHA saves 76 % at every width.", "2.4", "that is the width of one model"),
        (2, "The error of a weight is the harm.", "2.5", "is no relative error of the loss"),
        (3, "A qubit is beyond a neuron.", "3.3", "one qubit is a neuron with a cosine"),
        (3, "A mean of zero carries no information.", "3.4", "must give equal results on both"),
        (4, "More expressive is better.", "4.c", "QTHA"),
        (4, "More entangled is better.", "4.4", "says nothing about a fit"),
        (4, "A Fourier series is an advantage.", "4.4", "no advantage of a circuit"),
        (5, "A parameter shift is two runs.", "5.a", "yes"),
        (5, "A training step is one run.", "5.3", "one run gives one mean"),
        (5, "Depth alone makes plateaus.", "5.5", "only the read-out may change"),
        (5, "The simulator's speed is the algorithm's.", "5.b", "yes"),
        (6, "ΔW exists, so it can be merged.", "6.a", "yes"),
        (6, "Zero initial values never move.", "6.1", "only B is zero: its gradient contains"),
        (6, "The circuit widens the bottleneck.", "6.3", "depth changes z, and z stays r numbers"),
        (7, "Default learning rates are fair.", "7.1", "one rate for all methods favours"),
        (7, "The best of several trials is an estimate.", "7.4", "the best of all eight"),
        (7, "One seed is enough if the gap is large.", "1.5", "however large a difference looks"),
        (8, "The linear path is the update.", "12.2", "the linear path leaves out the circuit"),
        (8, "The floor is zero, so the share is real.", "8.7", "the lower bound is zero"),
        (8, "Non-linear is quantum.", "8.4", "the share names no quantum part"),
        (9, "It beats LoRA, hence it is quantum.", "9.4", "it is no control for a circuit"),
        (9, "Not significant means equal.", "9.4", "is not thereby zero"),
        (9, "p below 0.05 once is a result.", "9.4", "chosen after the results were seen"),
        (10, "Generated parameters are fewer stored numbers.", "10.2", "are exchanged"),
        (10, "A result here holds at the paper's scale.", "10.3", "a larger scale is another"),
        (11, "Noise only adds scatter.", "11.2", "a common factor"),
        (11, "More shots repair noise.", "11.b", "yes"),
    )
)


def misconceptions_of(lesson: int) -> list[Misconception]:
    """Return the misconceptions that a lesson names.

    Args:
        lesson: Number of the lesson.

    Example:
        >>> [m.question for m in misconceptions_of(11)]
        ['11.2', '11.b']
    """
    return [m for m in MISCONCEPTIONS if m.lesson == lesson]


FORK = ("lora(r=8)", "qtha(r=4,waist=16,bond_dim=3)")


def _regrouped() -> Figure:
    """Draw two cores of a 4 × 4 matrix, with their legs and bond."""
    return mpo_diagram((2, 2), (2, 2), [4])


def _rotation_and_flip() -> Figure:
    """Draw RY on wire 0 and a CNOT to wire 1."""
    return circuit_diagram(
        2,
        [
            {"name": "RY", "wires": [0], "angles": [{"source": "x"}]},
            {"name": "CNOT", "wires": [0, 1]},
        ],
    )


def _fork_of_rates() -> Figure:
    """Draw recorded losses of two methods against the learning rate."""
    runs = [run for method in FORK for run in recorded("tiny-chat").of(method)]
    return loss_against_rate(
        [
            {
                "label": run.method,
                "seed": run.seed,
                "learning_rate": run.learning_rate,
                "value": run.eval_loss,
            }
            for run in runs
        ]
    )


DRAWINGS: dict[int, Callable[[], Figure]] = {
    2: _regrouped,
    3: _rotation_and_flip,
    7: _fork_of_rates,
}


def board_drawing(lesson: int) -> Figure | None:
    """Return the drawing for the board of a lesson; None without one.

    Example:
        >>> board_drawing(3).alt
        'Circuit of 2 qubits with 2 gates (1 RY, 1 CNOT), depth 2.'
    """
    draw = DRAWINGS.get(lesson)
    return draw() if draw else None


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

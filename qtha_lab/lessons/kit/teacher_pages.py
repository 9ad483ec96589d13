"""Key, rubrics and syllabus of a teacher, from the texts and the executed lessons."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from qtha_lab.figures import circuit_diagram, mpo_diagram
from qtha_lab.figures.circuit_diagram import GateRow
from qtha_lab.figures.loss_against_rate import End, loss_against_rate
from qtha_lab.figures.machinery.figure import Figure
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit.class_paths import class_paths
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.kit.markup import pictures, write_page, write_pdf
from qtha_lab.lessons.kit.rubrics import points_of, rubric_of
from qtha_lab.lessons.lesson_texts import LESSONS
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.questions import as_text
from qtha_lab.lessons.recordings import recorded
from qtha_lab.lessons.registry import EXERCISES

FORK = ("lora(r=8)", "qtha(r=4,waist=16,bond_dim=3)")
RY: GateRow = {"name": "RY", "wires": [0], "angles": [{"source": "x"}]}


def _fork_of_rates() -> Figure:
    """Draw recorded losses of two methods against the learning rate."""
    runs = [run for method in FORK for run in recorded("tiny-chat").of(method)]
    ends: list[End] = [
        {
            "label": run.method,
            "seed": run.seed,
            "learning_rate": run.learning_rate,
            "value": run.eval_loss,
        }
        for run in runs
    ]
    return loss_against_rate(ends)


DRAWINGS: dict[int, Callable[[], Figure]] = {
    2: lambda: mpo_diagram((2, 2), (2, 2), [4]),
    3: lambda: circuit_diagram(2, [RY, {"name": "CNOT", "wires": [0, 1]}]),
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
MANUAL = "Explanations are graded by a person; other points come from the tests."


def _key_lesson(page: LessonPage) -> dict[str, Any]:
    """Return answers and difficult places of an executed lesson, for the key."""
    exercises = _own(EXERCISES, page)
    slow = (exercise for exercise in exercises if exercise.minutes >= SLOW)
    return {
        "page": page,
        "predictions": [(p, _answer(p, page)) for p in _own(PREDICTIONS, page)],
        "builds": _own(BUILDS, page),
        "exercises": exercises,
        "slow": sorted(slow, key=lambda exercise: -exercise.minutes),
        "misconceptions": LESSONS[page.number].misconception,
        "board": _board(page),
    }


def _board(page: LessonPage) -> str:
    """Return the drawing for the board, else the first picture of a lesson."""
    if drawn := board_drawing(page.number):
        return drawn.svg()
    return next((p.html for c in page.cells for p in pictures(c)), "")


def _own(registry: Mapping[str, Member], page: LessonPage) -> list[Member]:
    """Return the members of a lesson, in the order of its cells."""
    places = [cell.number for cell in page.cells]
    numbers = [n for n in registry if n.split(".")[0] == str(page.number)]
    order = {n: places.index(n) if n in places else len(places) for n in numbers}
    return [registry[n] for n in sorted(numbers, key=lambda n: order[n])]


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
    key = [_key_lesson(page) for page in pages]
    explained = [e for page in pages for e in _own(EXERCISES, page) if rubric_of(e.number)]
    points = {n: points_of(n) for n in [*BUILDS, *EXERCISES]}
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

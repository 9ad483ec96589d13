"""The printed workbook: ideas, predictions and exercises with space to write, on A4 and Letter."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from qtha_lab.lessons.kit.lesson_page import HEADING, LessonCell, LessonPage
from qtha_lab.lessons.kit.markup import pictures, to_html, write_page, write_pdf
from qtha_lab.lessons.kit.slides import ENDS, FOLDED
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.registry import EXERCISES

SIZES = ("A4", "Letter")
LINES_PER_MINUTE = 0.5  # to write on, below an exercise
MOST_LINES = 6
RESULTS = Markup('<h3 style="break-before:page">Results</h3>')


class WorkbookItem(NamedTuple):
    """One part of a lesson on paper.

    Attributes:
        body: HTML of the text or picture.
        label: Heading of a box; empty for running text.
        prediction: Prediction with its options, if it is one.
        lines: Lines to write on.
    """

    body: str
    label: str = ""
    prediction: Prediction | None = None
    lines: int = 0


def workbook_items(page: LessonPage) -> list[WorkbookItem]:
    """Return the parts of a lesson on paper: texts, then pictures of results.

    Args:
        page: Lesson as executed; without outputs the pictures are missing.
    """
    texts: list[WorkbookItem] = []
    results: list[WorkbookItem] = []
    for cell in page.cells:
        is_text = cell.kind == "markdown" or cell.role == "predict"
        (texts if is_text else results).extend(_items(cell))
    return texts + ([WorkbookItem(RESULTS), *results] if results else [])


def _items(cell: LessonCell) -> Iterator[WorkbookItem]:
    if cell.role == "text" and not cell.source.startswith(ENDS):
        source = HEADING.sub(lambda heading: f"#{heading[0]}", FOLDED.sub("", cell.source))
        yield WorkbookItem(Markup(to_html(source)))
    elif cell.role == "task":
        exercise = EXERCISES[cell.number]
        task = Markup(to_html(cell.source.split("\n\n", 2)[-1]))
        label = f"Exercise {exercise.number} · {exercise.title} · {exercise.effort}"
        lines = min(MOST_LINES, round(LINES_PER_MINUTE * exercise.minutes))
        yield WorkbookItem(task, label, lines=lines)
    elif cell.role == "predict":
        declared = PREDICTIONS[cell.number]
        label = f"Predict {cell.number}"
        yield WorkbookItem(Markup(to_html(declared.question)), label, declared, 1)
    else:
        for drawing in pictures(cell):
            yield WorkbookItem(Markup(f"<figure>{drawing.html}</figure>"))


def write_workbook(pages: Sequence[LessonPage], folder: Path, repository: str = "") -> list[Path]:
    """Write the workbook on A4 and Letter, as pages and as PDF.

    Args:
        pages: Executed lessons.
        folder: Target folder.
        repository: Address of the notebooks for QR codes; none are drawn without one.

    Returns:
        The written files.
    """
    lessons = [(page, workbook_items(page), _qr_code(page, repository)) for page in pages]
    files = []
    for size in SIZES:
        name = f"workbook_{size.lower()}"
        page = write_page(folder / f"{name}.html", "workbook", lessons=lessons, size=size)
        files += [page, write_pdf(page, folder / f"{name}.pdf")]
    return files


def _qr_code(page: LessonPage, repository: str) -> str:
    """Return the code that leads to a notebook, as SVG; empty without an address."""
    if not repository:
        return ""
    import segno

    address = f"{repository.rstrip('/')}/blob/HEAD/notebooks/{page.stem}.ipynb"
    return Markup(segno.make(address).svg_inline(scale=3))

"""All products of `course build`, in one folder."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder
from qtha_lab.lessons.kit.assignment import online_page, write_assignments
from qtha_lab.lessons.kit.executed import executed_pages
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.kit.markup import require_kit
from qtha_lab.lessons.kit.slides import write_slides
from qtha_lab.lessons.kit.teacher_pages import write_teacher_pages
from qtha_lab.lessons.kit.workbook import write_workbook

Audience = Literal["students", "teacher"]
EXECUTION = 200.0  # seconds of all lessons together, of the five minutes of a build
EXECUTED = "executed lessons"


@dataclass(frozen=True)
class CourseProduct:
    """Files of one product, with the seconds that it took."""

    name: str
    files: tuple[Path, ...]
    seconds: float


def build_course(
    pages: Sequence[LessonPage], folder: Path, audience: Audience, repository: str = ""
) -> list[CourseProduct]:
    """Write the files for students or a teacher; replace those of an earlier build.

    Args:
        pages: Lessons as found.
        folder: Target folder, created if missing.
        audience: "students" get no solutions; "teacher" gets everything.
        repository: Address on GitHub for badges and QR codes; there are none without one.

    Raises:
        Refusal: If the folder is a file, or a package of the extra `course` is missing.
    """
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"FOLDER must be a folder, got the file {folder}.")
    require_kit()
    make_folder(folder)
    executed: list[LessonPage] = []
    is_teacher = audience == "teacher"
    steps: dict[str, Callable[[], list[Path]]] = {
        EXECUTED: lambda: _executed(pages, executed),
        "assignments": lambda: write_assignments(
            [online_page(page, repository) for page in pages], folder, is_teacher
        ),
    }
    steps["workbook"] = lambda: write_workbook(executed, folder, repository)
    steps["slides"] = lambda: write_slides(executed, folder / "slides")
    if is_teacher:
        steps["key, rubrics and syllabus"] = lambda: write_teacher_pages(executed, folder)
    products = []
    for name, write in steps.items():
        began = time.monotonic()
        files = tuple(write())
        products.append(CourseProduct(name, files, round(time.monotonic() - began, 1)))
    return products


def _executed(pages: Sequence[LessonPage], executed: list[LessonPage]) -> list[Path]:
    """Append all lessons, executed where there is time; return the files of the executed copies."""
    executed += executed_pages(pages, seconds=EXECUTION)
    return [copy.path for copy, page in zip(executed, pages, strict=True) if copy.path != page.path]

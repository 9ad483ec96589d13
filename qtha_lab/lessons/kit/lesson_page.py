"""Lessons as data: cells of a notebook, with the exercise, build or prediction of each.

A lesson is a numbered notebook, such as `03_circuits.ipynb`. Primers and the workbench are none.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.lessons.stated_minutes import cells_of, stated_minutes

LESSON = re.compile(r"[01]\d_\w+")
CALL = re.compile(r'^(predict|reveal|build|check|hint|solution)\(\s*"([\w.]+)"', re.MULTILINE)
HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
EXERCISE = re.compile(r"### Exercise (\d+\.\d+) · ")
TARGET = re.compile(r'^model = "(.+)"', re.MULTILINE)


@dataclass(frozen=True)
class LessonCell:
    """One cell of a lesson.

    Attributes:
        kind: "markdown" or "code".
        source: Text or code.
        role: "text" or "task" of markdown; "stub", "predict", "reveal", "build", "check", "hint",
            "solution" or "code" of code.
        number: Number of the exercise, build or prediction; empty for other cells.
        outputs: Outputs of an executed copy.
        data: The cell as stored.
    """

    kind: str
    source: str
    role: str
    number: str
    outputs: tuple[Mapping[str, Any], ...]
    data: Mapping[str, Any]


@dataclass(frozen=True)
class LessonPage:
    """A lesson: its number, title, minutes and cells.

    Attributes:
        path: Notebook file.
        cells: Cells in order.
    """

    path: Path
    cells: tuple[LessonCell, ...]

    @property
    def number(self) -> int:
        """Number of the lesson, from the name of its file."""
        return int(self.path.stem[:2])

    @property
    def stem(self) -> str:
        """Name of the notebook, such as `03_circuits`, also of an executed copy."""
        return self.path.stem.partition("-")[0]

    @property
    def title(self) -> str:
        """First heading."""
        found = HEADING.search(self.cells[0].source)
        return found[2] if found else self.path.stem

    @property
    def minutes(self) -> int:
        """Stated minutes of a reader."""
        return stated_minutes([cell.data for cell in self.cells])

    @property
    def target(self) -> str:
        """Model that the page was written for."""
        found = next((m for c in self.cells if (m := TARGET.search(c.source))), None)
        return found[1] if found else "tiny"

    def task_of(self, number: str) -> str:
        """Return the task of an exercise without its heading and effort; empty without one."""
        for cell in self.cells:
            if cell.role == "task" and cell.number == number:
                return cell.source.split("\n\n", 2)[-1].strip()
        return ""

    def result_of(self, number: str) -> str:
        """Return the sentence that answers a prediction, as executed without a reader."""
        for cell in self.cells:
            for output in cell.outputs:
                text = "".join(output.get("data", {}).get("text/plain", ""))
                if cell.role == "reveal" and cell.number == number and text.startswith("It is"):
                    return text
        return ""


def lesson_page(path: Path) -> LessonPage:
    """Read a notebook; cells get the role that the course has for them."""
    return LessonPage(path, tuple(_cells(cells_of(path))))


@functools.cache
def lesson_files() -> tuple[Path, ...]:
    """Return the notebooks of the lessons, in order."""
    return tuple(p for p in sorted(notebooks_dir().glob("*.ipynb")) if LESSON.fullmatch(p.stem))


def lesson_pages(numbers: tuple[int, ...] = ()) -> list[LessonPage]:
    """Return the lessons of these numbers; all of them without numbers.

    Raises:
        Refusal: If a number has no lesson.
    """
    files = {int(path.stem[:2]): path for path in lesson_files()}
    if unknown := [n for n in numbers if n not in files]:
        known = ", ".join(map(str, files))
        raise Refusal(f"lessons must be among {known}, got {unknown[0]}.")
    return [lesson_page(files[number]) for number in numbers or files]


def _cells(stored: list[dict[str, Any]]) -> Iterator[LessonCell]:
    roles = list(map(_role, stored))
    for place, (role, number) in enumerate(roles):
        following = roles[place + 1] if place + 1 < len(roles) else ("", "")
        if role == "code" and following[0] in ("check", "build"):
            role, number = "stub", following[1]
        cell = stored[place]
        outputs = tuple(cell.get("outputs", ()))
        yield LessonCell(cell["cell_type"], _text(cell), role, number, outputs, cell)


def _role(cell: Mapping[str, Any]) -> tuple[str, str]:
    source = _text(cell)
    if cell["cell_type"] == "markdown":
        found = EXERCISE.match(source)
        return ("task", found[1]) if found else ("text", "")
    found = CALL.search(source)
    return (found[1], found[2]) if found else ("code", "")


def _text(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])

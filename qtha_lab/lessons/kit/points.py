"""Points of submitted notebooks: the code of each answer's cell is graded, and nothing else.

Checks and verdicts that a submission holds are not read. A person grades explanations.
"""

import ast
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import read_json
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage
from qtha_lab.lessons.kit.marking import Mark, grade_code
from qtha_lab.lessons.kit.rubrics import points_of

log = logging.getLogger(__name__)

SEED = re.compile(r"^use_seed\((\d{1,6})\)$", re.MULTILINE)
WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Points:
    """Points of one answer of a submission.

    Attributes:
        submission: File, relative to the folder of submissions.
        task: Number of the exercise or build.
        points: Points of the answer.
        possible: Points of a right answer.
        state: State of the answer, as in `Mark`; "missing" without its cell.
        seed: Seed of the constants that the notebook names, if any.
    """

    submission: str
    task: str
    points: int
    possible: int
    state: str
    seed: int | None


def grade_notebooks(paths: Sequence[Path], pages: Sequence[LessonPage]) -> Iterator[Points]:
    """Grade submitted notebooks, several answers at once.

    Args:
        paths: Notebooks, and folders with notebooks below.
        pages: Lessons as shipped.

    Raises:
        Refusal: If there is no notebook.
    """
    files = _files(paths)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, name in files:
            cells = _submitted(file)
            page = _lesson_of(cells, pages)
            if page is None:
                yield Points(name, "", 0, 0, "no lesson", None)
                continue
            seed = next((int(f[1]) for code in cells.values() if (f := SEED.search(code))), None)
            tasks = [(stub, cells.get(_id(stub.data)), page, seed) for stub in _stubs(page)]
            for (stub, *_), mark in zip(tasks, pool.map(lambda t: _graded(*t), tasks), strict=True):
                possible = points_of(stub.number)
                points = possible if mark.state == "right" else mark.passed
                yield Points(name, stub.number, points, possible, mark.state, seed)


def _files(paths: Sequence[Path]) -> list[tuple[Path, str]]:
    """Return every notebook with its name, without Jupyter's checkpoints."""
    files = []
    for path in paths:
        found = sorted(path.rglob("*.ipynb")) if path.is_dir() else [path]
        files += [(f, str(f.relative_to(path)) if path.is_dir() else f.name) for f in found]
    files = [(f, name) for f, name in files if ".ipynb_checkpoints" not in f.parts]
    if not files:
        raise Refusal(f"Submissions must be notebooks, got none in {', '.join(map(str, paths))}.")
    return files


def _submitted(file: Path) -> dict[str, str]:
    """Return the code of each cell of a submission; empty if it is no notebook."""
    try:
        cells = [cell for cell in read_json(file)["cells"] if cell["cell_type"] == "code"]
        return {_id(cell): "".join(cell["source"]) for cell in cells}
    except (Refusal, KeyError, TypeError, AttributeError) as reason:
        log.warning("%s is not graded: %s", file.name, reason)
        return {}


def _id(cell: Mapping[str, Any]) -> str:
    """Return the identifier that nbgrader keeps, else that of the cell."""
    graded = cell.get("metadata", {}).get("nbgrader", {})
    return str(graded.get("grade_id") or cell.get("id"))


def _lesson_of(cells: dict[str, str], pages: Sequence[LessonPage]) -> LessonPage | None:
    """Return the lesson with most answers' cells of a submission, if any."""
    shared = [len({_id(stub.data) for stub in _stubs(page)} & cells.keys()) for page in pages]
    return pages[shared.index(max(shared))] if max(shared) else None


def _stubs(page: LessonPage) -> list[LessonCell]:
    return [cell for cell in page.cells if cell.role == "stub"]


def _graded(stub: LessonCell, code: str | None, page: LessonPage, seed: int | None) -> Mark:
    if code is None:
        return Mark("missing")
    if code.strip() == stub.source.strip():
        return Mark("not attempted")
    return grade_code(stub.number, "\n".join([*_imports(page, code), code]), seed)


def _imports(page: LessonPage, code: str) -> Iterator[str]:
    """Yield the imports of a lesson that bind a name of the code."""
    words = set(WORD.findall(code))
    for cell in page.cells:
        try:
            nodes = ast.parse(cell.source).body if cell.kind == "code" else []
        except SyntaxError as reason:  # a command of IPython
            log.debug("a cell has no imports: %s", reason)
            continue
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)) and words & {
                (alias.asname or alias.name).partition(".")[0] for alias in node.names
            }:
                yield ast.unparse(node)

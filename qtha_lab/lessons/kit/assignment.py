"""Notebooks for nbgrader, Colab and Binder: a source with solutions, the release without them.

A reader's stub becomes a solution cell. `check` and `build` become tests with points. An
explanation is a cell that a person grades. Cells that show a solution are omitted.
Tests run in the reader's kernel: marks that count come from `points.grade_notebooks`.
nbgrader's generator needs its data base and its server; a release is cut here as by its
`ClearSolutions`, with which a test compares it.
"""

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import make_folder, shortened, write_atomically, write_json
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage
from qtha_lab.lessons.kit.rubrics import points_of, rubric_of
from qtha_lab.lessons.registry import EXERCISES

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
CODE_STUB = "# Replace ... above, or write here."
CONFIG = f"""c = get_config()
c.CourseDirectory.course_id = "qtha-lab"
c.ClearSolutions.code_stub = {{"python": {CODE_STUB!r}}}
c.Execute.timeout = 300  # seconds of one cell; some cells train
"""
RUBRIC = "# Rubric, one point each:"
TESTED = """result = {call}
assert result.state == "{state}", result"""

Notebook = dict[str, Any]


def write_assignments(pages: list[LessonPage], folder: Path, with_source: bool) -> list[Path]:
    """Write the notebooks of a course folder of nbgrader.

    Args:
        pages: Lessons; those without graded cells are copied too.
        folder: Course folder, with `source/LESSON/` and `release/LESSON/`.
        with_source: Write the notebooks with solutions too.

    Returns:
        The written files.
    """
    files = []
    for page in pages:
        source = source_notebook(page)
        made = {"release": release_notebook(source)} | ({"source": source} if with_source else {})
        for kind, notebook in made.items():
            file = folder / kind / page.path.stem / page.path.name
            make_folder(file.parent, folder)
            write_json(file, notebook, folder)
            files.append(file)
    if with_source:
        write_atomically(folder / "nbgrader_config.py", CONFIG)
        files.append(folder / "nbgrader_config.py")
    return files


def source_notebook(page: LessonPage) -> Notebook:
    """Return a lesson with solutions, tests and rubrics in nbgrader's cells."""
    cells = [cell for lesson_cell in page.cells for cell in _graded(lesson_cell)]
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def release_notebook(source: Notebook) -> Notebook:
    """Return the student's version of a source, without solutions.

    As nbgrader's `ClearSolutions` writes it.
    """
    release = copy.deepcopy(source)
    for cell in release["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("solution"):
            before, _, rest = cell["source"].partition(BEGIN)
            cell["source"] = before + CODE_STUB + rest.partition(END)[2]
    return release


def _graded(cell: LessonCell) -> Iterator[dict[str, Any]]:
    """Yield the cells that stand for one cell of the lesson."""
    rubric = rubric_of(cell.number)
    if cell.role == "solution":
        return
    if cell.role == "stub":
        task = {**BUILDS, **EXERCISES}[cell.number]
        lines = [RUBRIC, *(f"# * {point}" for point in rubric)] if rubric else []
        region = "\n".join([cell.source, BEGIN, task.solution, *lines, END])
        by_hand = {"points": points_of(cell.number)} if rubric else {}
        kind = {"grade": bool(rubric), "solution": True, "locked": False}
        yield _cell(cell.data, region, kind | by_hand)
    elif cell.role in ("check", "build") and not rubric:
        state = "right" if cell.role == "check" else "built"
        call = TESTED.format(call=cell.source.strip(), state=state)
        tests = {"grade": True, "solution": False, "locked": True}
        yield _cell(cell.data, call, tests | {"points": points_of(cell.number)})
    else:
        yield _cell(cell.data, cell.source, {})


def _cell(data: Mapping[str, Any], source: str, grading: dict[str, Any]) -> dict[str, Any]:
    """Return a cell with the metadata of nbgrader; without any if nothing is graded."""
    metadata = dict(data.get("metadata", {}))
    if grading:
        known = {"schema_version": 3, "grade_id": data["id"], "task": False}
        metadata["nbgrader"] = known | grading | {"cell_type": data["cell_type"]}
    cell = {"cell_type": data["cell_type"], "id": data["id"], "metadata": metadata}
    code = {"execution_count": None, "outputs": []} if data["cell_type"] == "code" else {}
    return cell | {"source": source} | code


PACKAGE = "qtha-lab[lab]"
GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?")


def online_page(page: LessonPage, repository: str = "", source: str = PACKAGE) -> LessonPage:
    """Return a lesson with badges, whose first code cell installs the package from a source.

    Args:
        page: Lesson as found.
        repository: Address on GitHub, for badges; without one there are none.
        source: Requirement of pip, such as the address of a wheel.
    """
    title, install, *others = page.cells
    if repository:
        title = replace(title, source=f"{badges(page, repository)}\n\n{title.source}")
        source = f"{PACKAGE} @ git+{repository}" if source == PACKAGE else source
    install = replace(install, source=install.source.replace(PACKAGE, source))
    return replace(page, cells=(title, install, *others))


def badges(page: LessonPage, repository: str) -> str:
    """Return links in Markdown that open a lesson on Colab and on Binder.

    Raises:
        Refusal: If the address is not that of a repository on GitHub.
    """
    found = GITHUB.fullmatch(repository)
    if found is None:
        raise Refusal(
            "repository must be an address such as https://github.com/owner/name, got "
            f"{shortened(repr(repository))}."
        )
    owner, name = found.groups()
    path = f"notebooks/{page.stem}.ipynb"
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/HEAD/{path}"
    binder = f"https://mybinder.org/v2/gh/{owner}/{name}/HEAD?labpath={path.replace('/', '%2F')}"
    return f"[Open in Colab]({colab}) · [Open on Binder]({binder})"

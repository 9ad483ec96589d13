"""Execute every lesson into `docs/lessons`, print its seconds and memory: `make course-report`.

A copy has the outputs of the model that its lesson was written for. Where that is not the toy, a
second copy in `docs/lessons/toy` has the toy's. Seconds depend on the machine and on its load, so
they are compared with nothing.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterator
from pathlib import Path

from qtha_lab.core.io import make_folder, write_json
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.lessons.checked_statements import TOY
from qtha_lab.lessons.kit.executed import MEASURED, execute
from qtha_lab.lessons.kit.lesson_page import LessonPage, lesson_page, lesson_pages
from qtha_lab.lessons.stated_minutes import computing_minutes, minutes_needed

COPIES = Path(__file__).resolve().parent.parent / "docs" / "lessons"
TIMEOUT = 3600  # seconds of one cell
SIBLING = re.compile(r"\]\((?=\w+\.ipynb)")
HEAD = ("lesson", "model", "stated min", "needed min", "machine s", "memory MiB", "load")


def copies(pages: list[LessonPage]) -> Iterator[tuple[LessonPage, str, Path]]:
    """Yield each lesson with a model and the path of its copy."""
    for page in pages:
        yield page, page.target, COPIES / page.path.name
        if page.target != TOY:
            yield page, TOY, COPIES / "toy" / page.path.name


def write_copy(page: LessonPage, model: str, target: Path) -> str:
    """Execute a lesson on a model into a file; return its row."""
    load = os.getloadavg()[0]
    notebook = execute(page, model, TIMEOUT)
    measured = notebook["metadata"].pop(MEASURED)
    if target.parent != COPIES:
        for cell in notebook["cells"]:
            cell["source"] = SIBLING.sub("](../", cell["source"])
    make_folder(target.parent)
    write_json(target, notebook)
    seconds, memory = f"{measured['seconds']:.0f}", measured["memory_mib"]
    return f"| {page.stem} | {model} | {_minutes(page)} | {seconds} | {memory} | {load:.1f} |"


def _minutes(page: LessonPage) -> str:
    """Return the stated and the needed minutes; none for a primer, which states none."""
    if not page.stem[:2].isdecimal():
        return "– | –"
    cells = [cell.data for cell in page.cells]
    return f"{page.minutes} | {minutes_needed(cells, page.number, computing_minutes(cells))}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=int, help="numbers, such as 1; all by default")
    numbers = tuple(parser.parse_args().lessons)
    primers = [] if numbers else sorted(notebooks_dir().glob("primer_*.ipynb"))
    pages = [*map(lesson_page, primers), *lesson_pages(numbers)]
    print(f"| {' | '.join(HEAD)} |\n|---|---|{'---:|' * (len(HEAD) - 2)}", flush=True)
    for page, model, target in copies(pages):
        try:
            print(write_copy(page, model, target), flush=True)
        except Exception as problem:  # a lesson may fail in many ways; the others go on
            print(f"| {page.stem} failed: {str(problem)[-300:]} |", flush=True)


if __name__ == "__main__":
    main()

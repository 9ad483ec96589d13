"""Measure seconds and memory of every lesson on the toy model: `make course-report`.

Each lesson is executed in its own kernel. Seconds depend on the machine and on its load, so they
are printed and compared with nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from qtha_lab.lessons.kit.executed import MEASURED, execute
from qtha_lab.lessons.kit.lesson_page import LessonPage, lesson_pages
from qtha_lab.lessons.stated_minutes import computing_minutes, minutes_needed

TIMEOUT = 1800  # seconds of one cell
HEAD = ("lesson", "stated min", "needed min", "machine s", "memory MiB", "load")


def report(page: LessonPage) -> str:
    """Return the row of a lesson."""
    cells = [cell.data for cell in page.cells]
    needed = minutes_needed(cells, page.number, computing_minutes(cells))
    load = os.getloadavg()[0]
    measured = execute(page, seconds=TIMEOUT)["metadata"][MEASURED]
    seconds, memory = f"{measured['seconds']:.0f}", measured["memory_mib"]
    return f"| {page.stem} | {page.minutes} | {needed} | {seconds} | {memory} | {load:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lessons", nargs="*", type=int, help="numbers, such as 1; all by default")
    print(f"| {' | '.join(HEAD)} |\n|---|{'---:|' * (len(HEAD) - 1)}", flush=True)
    for page in lesson_pages(tuple(parser.parse_args().lessons)):
        try:
            print(report(page), flush=True)
        except Exception as problem:  # a lesson may fail in many ways; the others go on
            print(f"| {page.stem} failed: {str(problem)[-300:]} |", flush=True)


if __name__ == "__main__":
    main()

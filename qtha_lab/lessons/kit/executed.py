"""Executed copies of lessons, stored until a lesson or the package changes.

A copy is executed without a reader: predictions count as skipped, and explorers show their static
picture. It holds its seconds, the processor time and the memory of its kernel.
"""

import functools
import hashlib
import logging
import os
import re
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from qtha_lab.core.errors import describe_error
from qtha_lab.core.io import (
    digest,
    make_folder,
    read,
    read_bytes,
    read_json,
    remove,
    scratch_folder,
    write_json,
)
from qtha_lab.core.libraries import require_extra
from qtha_lab.core.paths import PACKAGE, cache_dir, notebooks_dir
from qtha_lab.lessons.checked_statements import TOY
from qtha_lab.lessons.kit.lesson_page import LessonPage, lesson_page
from qtha_lab.lessons.stated_minutes import computing_minutes

log = logging.getLogger(__name__)

PEAK = "qtha_lab.training.memory"
MEASURE = f"""import time
import {PEAK} as memory
print(memory.high_water_bytes(), time.process_time())"""
PARAMETER = re.compile(r'^model = ".+"', re.MULTILINE)
MEASURED = "qtha_lab"  # key of the notebook's metadata
LIMIT = 240.0  # seconds of one cell


def executed_pages(
    pages: Sequence[LessonPage], model: str = TOY, seconds: float = LIMIT, workers: int = 2
) -> list[LessonPage]:
    """Return executed copies of lessons; one that fails or is late stays without outputs.

    Args:
        pages: Lessons as found.
        model: Model that the lessons use.
        seconds: Time limit of all lessons together; those executed before take none.
        workers: Lessons that run at the same time.
    """
    deadline = time.monotonic() + seconds
    quick_first = sorted(pages, key=_computing)
    with ThreadPoolExecutor(workers) as pool:
        executed = pool.map(lambda page: _executed(page, model, deadline), quick_first)
        by_number = {page.number: page for page in executed}
    return [by_number[page.number] for page in pages]


def _computing(page: LessonPage) -> int:
    return computing_minutes([cell.data for cell in page.cells])


def lesson_measurements(page: LessonPage) -> dict[str, Any]:
    """Return seconds, processor time and memory of an executed copy; empty without."""
    return read_json(page.path)["metadata"].get(MEASURED, {})


def _executed(page: LessonPage, model: str, deadline: float) -> LessonPage:
    stored = _place(page, model)
    if not stored.is_file():
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return page
        try:
            notebook = execute(page, model, remaining)
        except TimeoutError:
            log.warning("%s is not executed: its %.0f seconds are over", page.path.stem, remaining)
            return page
        except Exception as problem:  # a lesson may fail in many ways; the others go on
            log.warning("%s is not executed: %s", page.path.stem, describe_error(problem))
            return page
        make_folder(stored.parent)
        for old in stored.parent.glob(f"{page.path.stem}-{model}-*.ipynb"):
            remove(old)
        write_json(stored, notebook)
    return lesson_page(stored)


def _place(page: LessonPage, model: str) -> Path:
    """Return the path of the executed copy, by notebook, package and model."""
    text = (digest(page.path) + _package_digest()).encode()
    name = f"{page.path.stem}-{model}-{hashlib.sha256(text).hexdigest()[:16]}.ipynb"
    return cache_dir() / "lessons" / name


@functools.cache
def _package_digest() -> str:
    """Return a digest of the package and the texts of lessons.

    Kit and command are left out: they change no output.
    """
    unrelated = (Path(__file__).parent, PACKAGE / "cli")
    sources = [p for p in sorted(PACKAGE.rglob("*.py")) if p.parent not in unrelated]
    sources += sorted(notebooks_dir().glob("*.toml"))
    return hashlib.sha256(b"".join(map(read_bytes, sources))).hexdigest()


def execute(page: LessonPage, model: str = TOY, seconds: float = LIMIT) -> dict[str, Any]:
    """Execute a lesson in its own kernel; return the notebook with measurements.

    Paths in outputs are relative.

    Args:
        page: Lesson as found.
        model: Model in place of that of the parameters cell.
        seconds: Time limit of one cell.

    Raises:
        Refusal: If the kernel is not installed.
    """
    require_extra("lab", "A lesson", "nbclient", "ipykernel")
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.reads(read(page.path), as_version=4)
    for cell in notebook.cells:
        cell.source = PARAMETER.sub(f'model = "{model}"', cell.source)
    notebook.cells.append(nbformat.v4.new_code_cell(MEASURE))
    with scratch_folder() as folder:
        client = NotebookClient(
            notebook,
            timeout=max(1, int(seconds)),
            kernel_name="python3",
            store_widget_state=False,
            record_timing=False,
            resources={"metadata": {"path": str(page.path.parent)}},
        )
        places = {"QTHA_LAB_RUNS": f"{folder}/runs", "QTHA_LAB_MY": f"{folder}/my"}
        began = time.monotonic()
        client.execute(env=os.environ | places, stderr=subprocess.DEVNULL)  # log of the kernel
        taken = time.monotonic() - began
        notebook = nbformat.reads(nbformat.writes(notebook).replace(f"{folder}/", ""), as_version=4)
    peak, processor = map(float, notebook.cells.pop().outputs[0].text.split())
    notebook.metadata.pop("widgets", None)
    notebook.metadata[MEASURED] = {
        "seconds": round(taken, 1),
        "processor_seconds": round(processor, 1),
        "memory_mib": round(peak / 2**20),
    }
    return notebook

"""The state of a lecture machine: models, packages, memory, and seconds of each lesson."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from qtha_lab.figures.machinery.export import find_browser
from qtha_lab.lessons.kit.executed import executed_pages, lesson_measurements
from qtha_lab.lessons.kit.lesson_page import LessonPage
from qtha_lab.lessons.kit.markup import NEEDED
from qtha_lab.lessons.time_limit import imported_names
from qtha_lab.models import KNOWN, is_available

log = logging.getLogger(__name__)
SMALL_MIB = 4096  # memory of a small laptop
SYSTEM_MIB = 1500  # taken by system, browser and JupyterLab; an estimate


@dataclass(frozen=True)
class LessonCheck:
    """Result of one lesson.

    Attributes:
        name: Notebook without suffix.
        model: Model that the lesson uses on this machine.
        seconds: Measured seconds on the toy model; None if not measured.
        memory_mib: Measured memory of the kernel; None if not measured.
        problems: Sentences on what will not run.
    """

    name: str
    model: str
    seconds: float | None
    memory_mib: int | None
    problems: tuple[str, ...]


def check_lessons(pages: Sequence[LessonPage], seconds: float) -> list[LessonCheck]:
    """Execute lessons on the toy model within a time limit, and report problems.

    Args:
        pages: Lessons as found.
        seconds: Time limit of all executions together; stored measurements take no time.
    """
    executed = executed_pages(pages, seconds=seconds, workers=1)
    return [_checked(page, copy) for page, copy in zip(pages, executed, strict=True)]


def _checked(page: LessonPage, copy: LessonPage) -> LessonCheck:
    numbers = lesson_measurements(copy) if copy.path != page.path else {}
    memory = numbers.get("memory_mib")
    problems = [f"needs the package {name}" for name in missing_packages(page)]
    if memory is not None and memory > SMALL_MIB - SYSTEM_MIB:
        problems.append(f"may not fit into 4 GB: its kernel took {memory:,} MiB")
    model = page.target
    if not is_available(model):
        problems.append(f"shows the toy model: {model} is not on this machine")
        model = "tiny"
    return LessonCheck(page.stem, model, numbers.get("seconds"), memory, tuple(problems))


def missing_packages(page: LessonPage) -> list[str]:
    """Return the packages that a lesson imports and this environment lacks."""
    names: set[str] = set()
    for cell in page.cells:
        try:
            names |= {*imported_names(cell.source)} if cell.kind == "code" else set()
        except SyntaxError as problem:  # top-level `await`, or a command of IPython
            log.debug("imports of a cell are not read: %s", problem)
    packages = {name.split(".")[0] for name in names}
    return sorted(name for name in packages if importlib.util.find_spec(name) is None)


def machine_facts() -> list[tuple[str, str]]:
    """Return models, memory, browser and packages of this machine as pairs of text."""
    import psutil

    memory = psutil.virtual_memory()
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    facts = [(f"model {name}", _presence(name)) for name in KNOWN]
    facts.append(("memory", f"{memory.total / 2**30:.1f} GiB, {memory.available / 2**30:.1f} free"))
    facts.append(("browser for PDF", find_browser() or "none: slides and workbook have no PDF"))
    extra = f'missing {", ".join(missing)}: pip install "qtha-lab[course]"'
    facts.append(("packages of course build", extra if missing else "all there"))
    return facts


def _presence(model: str) -> str:
    if is_available(model):
        return "on this machine"
    size = KNOWN[model].download_mb
    return f"not on this machine: qtha-lab fetch {model} ({size} MB) needs a network"

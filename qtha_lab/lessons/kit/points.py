"""Marks of answers: their code runs and is graded in a process of its own.

Nothing that the code prints or replaces reaches the verdict. Code that searches the memory of its
process is not stopped.
"""

import ast
import json
import logging
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, read_json, scratch_folder
from qtha_lab.lessons import guard
from qtha_lab.lessons.answers import check
from qtha_lab.lessons.builds import BUILDS, build
from qtha_lab.lessons.kit.lesson_page import LessonCell, LessonPage
from qtha_lab.lessons.kit.rubrics import points_of
from qtha_lab.lessons.kit.variants import use_seed
from qtha_lab.lessons.registry import EXERCISES

log = logging.getLogger(__name__)

SECONDS = 600.0  # for a process on a busy machine; the answer itself has its own limit
STATES = ("right", "written", "built", "wrong", "not yet", "not attempted")


class Mark(NamedTuple):
    """Verdict on an answer.

    Attributes:
        state: "right", "written", "built", "wrong", "not yet", "not attempted", or "no verdict" if
            the process ended without one.
        passed: Steps of a build that hold before the first that fails.
    """

    state: str
    passed: int = 0


NO_VERDICT = Mark("no verdict")


def grade_code(number: str, code: str, seed: int | None = None) -> Mark:
    """Grade an answer's code in a process of its own.

    Args:
        number: Number of an exercise or build.
        code: Code that leaves the answer under the declared name.
        seed: Seed of the student's constants, if any.

    Raises:
        Refusal: If there is no such exercise or build.
    """
    if number not in EXERCISES:
        BUILDS.get_or_refuse(number)
    token = secrets.token_hex(16)
    request = {"token": token, "number": number, "code": code, "seed": seed}
    environment = {key: value for key, value in os.environ.items() if key != "QTHA_LAB_MY"}
    with scratch_folder(prefix="qtha-lab-mark-") as folder:
        try:
            done = subprocess.run(
                [sys.executable, "-m", "qtha_lab.lessons.kit.points"],
                input=json.dumps(request).encode(),
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired as reason:
            log.debug("%s has no verdict: %s", number, reason)
            return NO_VERDICT
    return _verdict(done.stdout, token)


def _verdict(data: bytes, token: str) -> Mark:
    """Return the mark that a process wrote; nothing beside one signed line is accepted."""
    signature, _, verdict = data.decode(errors="replace").partition(" ")
    passed, _, state = verdict.partition(" ")
    if signature != token or state not in STATES or not passed.isdecimal():
        return NO_VERDICT
    return Mark(state, int(passed))


def main() -> None:
    """Read a request from standard input, grade it, and write the verdict."""
    request = parse_json(sys.stdin.read())
    token, write, channel = request.pop("token"), os.write, os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # output of the answer
    mark = _graded_answer(**request)
    write(channel, f"{token} {mark.passed} {mark.state}".encode())


def _graded_answer(number: str, code: str, seed: int | None) -> Mark:
    """Run and grade code with functions and a task that were looked up before."""
    if seed is not None:
        use_seed(seed)
    registry: Any = EXERCISES if number in EXERCISES else BUILDS
    task, grade, restore, mark = registry[number], _grade, _restore_desk(), Mark
    refused = mark("wrong" if registry is EXERCISES else "not yet")
    names: dict[str, Any] = {}
    exec(task.setup, names)
    try:
        exec(code, names)
        answer = names[getattr(task, "answer", None) or task.name]
    except Exception as reason:
        log.debug("the code of %s ends: %s", number, reason)
        return refused
    restore()
    result = grade(number, answer)
    return refused if restore() or registry[number] is not task else result


def _restore_desk() -> Any:
    """Protect the functions of the desk, and return the function that restores them."""
    for name, module in list(sys.modules.items()):
        if name == "__main__" or name.startswith("qtha_lab.lessons"):
            guard.protect(module)
    guard.protect_libraries()
    return guard.put_back


def _grade(number: str, answer: Any) -> Mark:
    if number in EXERCISES:
        return Mark(check(number, answer).state)
    result = build(number, answer)
    return Mark(result.state, len(result.passed))


if __name__ == "__main__":
    main()


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
        raise Refusal(f"No notebook is in {', '.join(map(str, paths))}.")
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

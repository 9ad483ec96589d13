"""Marks of answers, graded from their code in a process outside the kernel.

What the kernel has replaced or imported does not reach that process, and nothing that the answer
prints reaches the verdict. The code is that of `source_of`.
"""

import json
import os
import subprocess
import sys
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_json, scratch_folder
from qtha_lab.lessons.answer_source import source_of
from qtha_lab.lessons.answers import check
from qtha_lab.lessons.builds import BUILDS, build
from qtha_lab.lessons.kit.variants import use_seed, used_seed
from qtha_lab.lessons.registry import EXERCISES

SECONDS = 600.0  # for a process on a busy machine; the answer itself has its own limit
NO_VERDICT = "no verdict"


def grade_answer(number: str, answer: Any) -> str:
    """Return the state of an answer or build, graded in a process of its own.

    Args:
        number: Number of an exercise or build.
        answer: Answer in this kernel; `...` counts as not attempted.

    Returns:
        "right", "built", "wrong", "not yet", "not attempted", or "no verdict" if the process ended
        without one.

    Raises:
        Refusal: If there is no such exercise or build.
    """
    name = _name(number)
    if answer is ...:
        return "not attempted"
    code = source_of(name, answer)
    return NO_VERDICT if code is None else grade_code(number, code)


def grade_code(number: str, code: str) -> str:
    """Return the state of an answer's code, graded in a process of its own.

    Args:
        number: Number of an exercise or build.
        code: Code that leaves the answer under the declared name.

    Raises:
        Refusal: If there is no such exercise or build.
    """
    request = json.dumps(
        {"number": number, "name": _name(number), "code": code, "seed": used_seed()}
    )
    command = [sys.executable, "-m", "qtha_lab.lessons.marking"]
    environment = {key: value for key, value in os.environ.items() if key != "QTHA_LAB_MY"}
    with scratch_folder(prefix="qtha-lab-mark-") as folder:
        try:
            done = subprocess.run(
                command,
                input=request,
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                text=True,
                timeout=SECONDS,
            )
            return str(parse_json(done.stdout)["state"])
        except (Refusal, subprocess.TimeoutExpired, KeyError, TypeError):
            return NO_VERDICT


def _name(number: str) -> str:
    task = EXERCISES.get(number)
    return task.answer if task else BUILDS.get_or_refuse(number).name


def main() -> None:
    """Read a request from standard input, grade it, and write the verdict."""
    with os.fdopen(os.dup(1), "w") as verdict:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # output of the answer
        request = parse_json(sys.stdin.read())
        verdict.write(json.dumps({"state": _state(**request)}))


def _state(number: str, name: str, code: str, seed: int | None) -> str:
    if seed is not None:
        use_seed(seed)
    task = EXERCISES.get(number) or BUILDS[number]
    names: dict[str, Any] = {}
    exec(task.setup, names)
    try:
        exec(code, names)
        answer = names[name]
    except Exception:
        return "wrong" if number in EXERCISES else "not yet"
    return (check if number in EXERCISES else build)(number, answer).state


if __name__ == "__main__":
    main()

"""Marks of answers: their code runs and is graded in a process of its own.

Nothing that the code prints or replaces reaches the verdict. Code that searches the memory of its
process is not stopped.
"""

import json
import logging
import os
import secrets
import subprocess
import sys
from typing import Any, NamedTuple

from qtha_lab.core.io import parse_json, scratch_folder
from qtha_lab.lessons import guard
from qtha_lab.lessons.answers import check
from qtha_lab.lessons.builds import BUILDS, build
from qtha_lab.lessons.kit.variants import use_seed
from qtha_lab.lessons.registry import EXERCISES

log = logging.getLogger(__name__)

SECONDS = 600.0  # for a process on a busy machine; the answer itself has its own limit
STATES = ("right", "built", "wrong", "not yet", "not attempted")


class Mark(NamedTuple):
    """Verdict on an answer.

    Attributes:
        state: "right", "built", "wrong", "not yet", "not attempted", or "no verdict" if the process
            ended without one.
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
                [sys.executable, "-m", "qtha_lab.lessons.kit.marking"],
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
    mark = _graded(**request)
    write(channel, f"{token} {mark.passed} {mark.state}".encode())


def _graded(number: str, code: str, seed: int | None) -> Mark:
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

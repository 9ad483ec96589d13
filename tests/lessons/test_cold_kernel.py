"""Own solutions and builds are right in a cold process on one busy core."""

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager

import pytest

BUSY = 4  # loops on the same core
CODE = """
import sys
from qtha_lab.lessons import build, check, exercises
from qtha_lab.lessons.builds import BUILDS

lesson = sys.argv[1] + "."
for exercise in exercises():
    if exercise.number.startswith(lesson):
        print(check(exercise.number, exercise.answer_of(exercise.solution)))
for number, task in BUILDS.items():
    if number.startswith(lesson):
        print(repr(build(number, task.solved())).splitlines()[0])
"""


@contextmanager
def busy(core: int):
    """A loop that keeps a core busy."""
    loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    os.sched_setaffinity(loop.pid, {core})
    try:
        yield
    finally:
        loop.kill()
        loop.wait()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs affinity of processes")
@pytest.mark.parametrize("lesson", range(13))
def test_own_answers_are_right_in_a_cold_process_on_a_busy_core(lesson):
    core = min(os.sched_getaffinity(0))
    with ExitStack() as loops:
        for _ in range(BUSY):
            loops.enter_context(busy(core))
        done = subprocess.run(
            [sys.executable, "-c", CODE, str(lesson)],
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            capture_output=True,
            text=True,
            check=True,
        )
    lines = done.stdout.splitlines()
    assert lines, done.stderr
    assert all(line.startswith(("✓", "✎")) for line in lines), done.stdout

"""Marks come from a process of their own, for which an answer writes no verdict."""

import pytest
from support.refusals import refused

from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.kit import variants
from qtha_lab.lessons.kit.points import Mark, _verdict, grade_code


@pytest.mark.slow
@pytest.mark.parametrize(
    ("code", "state"), [("largest_rank = 10", "right"), ("largest_rank = 11", "wrong"),
                        ("largest_rank = ...", "not attempted")]
)  # fmt: skip
def test_an_answer_is_marked_by_its_code(code, state):
    assert grade_code("1.1", code) == Mark(state)


@pytest.mark.slow
def test_a_build_is_marked_by_its_code():
    steps = len(BUILDS.get_or_refuse("3.mean").steps)
    assert grade_code("3.mean", BUILDS["3.mean"].solution) == Mark("built", steps)
    assert grade_code("3.mean", "def mean_z(*_): return 0.0").state == "not yet"


ALWAYS = "always = lambda *a, **k: True\n"
RIGHT = "import qtha_lab.lessons.{0} as module\nmodule.{1} = lambda *a, **k: {2}"
CHEATS = {
    "prints": 'import os\nprint(\'{"state": "right"}\')\nprint("0 right")',
    "writes": "import os\nfor file in range(1, 20):\n    try: os.write(file, b'0 right')\n"
    "    except OSError: pass",
    "replaces os.write": "import os\nwrite = os.write\n"
    "os.write = lambda file, data: write(file, data.replace(b'wrong', b'right'))",
    "replaces json": 'import json\njson.dumps = lambda *a, **k: \'{"state": "right"}\'',
    "replaces subprocess": "import subprocess\nsubprocess.run = subprocess.Popen = None",
    "replaces numpy": ALWAYS + "import numpy\nnumpy.isclose = numpy.allclose = always",
    "replaces check": "import __main__\n__main__.check = __main__._grade = "
    "lambda *a: __main__.Mark('right')",
    "replaces the desk": RIGHT.format("answers", "_fault", "None"),
    "replaces guard": RIGHT.format("guard", "put_back", "''"),
    "replaces grade_code": RIGHT.format("kit.marking", "grade_code", "module.Mark('right')"),
    "replaces the task": "from qtha_lab.lessons.registry import EXERCISES\n"
    "EXERCISES.add('1.1', EXERCISES['1.1'].with_constants({'a': 5, 'b': 6}), 'mine')",
    "ends": "raise SystemExit",
    "kills": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.slow
@pytest.mark.parametrize("code", CHEATS.values(), ids=CHEATS)
def test_an_answer_that_replaces_the_grader_or_writes_a_verdict_is_not_right(code):
    assert grade_code("1.1", f"{code}\nlargest_rank = 11").state in ("wrong", "no verdict")


@pytest.mark.parametrize(
    "data", [b"", b"0 right", b"other 0 right", b"token 0 right\n", b"token x right", b"\xff 0 right",
             b"token 0 perfect", b"0 righttoken 0 wrong"]
)  # fmt: skip
def test_a_verdict_without_the_token_or_with_more_than_one_line_is_none(data):
    assert _verdict(data, "token").state == "no verdict"
    assert _verdict(b"token 2 not yet", "token") == Mark("not yet", 2)


@pytest.mark.slow
def test_a_mark_follows_the_constants_of_a_student():
    constants = variants.draw("1.1", 3)
    code = f"largest_rank = {constants['a'] + constants['b']}"
    assert grade_code("1.1", code, seed=3) == Mark("right")


def test_a_number_that_is_not_there_is_refused():
    with refused("build", "'99.9'"):
        grade_code("99.9", "x = 1")

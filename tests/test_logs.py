"""What the package does is logged where `QTHA_LAB_LOG` asks for it, and only the commands print."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SAY = """
import logging, qtha_lab
from qtha_lab import paths
logging.getLogger("qtha_lab.runs").info("launching lora")
logging.getLogger("qtha_lab.runs").warning("a second thing")
print(paths.log_file())
"""


def say(value: str) -> tuple[str, str]:
    """What a process prints and logs with this value of the variable."""
    env = {**os.environ, "QTHA_LAB_LOG": value}
    done = subprocess.run([sys.executable, "-c", SAY], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_a_level_alone_logs_on_standard_error():
    place, log = say("info")
    assert "INFO qtha_lab.runs: launching lora" in log
    assert place.endswith("faults.log")
    assert "launching" not in say("warning")[1]


def test_a_file_alone_takes_faults_and_no_line_of_the_log(tmp_path):
    place, log = say(str(tmp_path / "faults.txt"))
    assert place == str(tmp_path / "faults.txt")
    assert log.strip() == "a second thing"  # as Python shows warnings that nobody asked for
    assert not (tmp_path / "faults.txt").exists()


def test_a_level_and_a_file_log_into_the_file_of_the_faults(tmp_path):
    file = tmp_path / "new" / "lab.log"
    place, log = say(f"DEBUG:{file}")
    assert place == str(file)
    assert log == ""
    lines = file.read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == [
        "INFO qtha_lab.runs: launching lora",
        "WARNING qtha_lab.runs: a second thing",
    ]


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path):
    (tmp_path / "file").write_text("")
    assert say(f"info:{tmp_path / 'file' / 'lab.log'}")[1] == ""


def calls_of_print(path: Path):
    """The lines of a file that print."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
            yield node.lineno


@pytest.mark.parametrize("room", ["qtha_lab", "widgets"])
def test_nothing_but_the_commands_prints(room):
    files = [p for p in (ROOT / room).rglob("*.py") if (ROOT / "qtha_lab" / "cli") not in p.parents]
    printing = [f"{p.relative_to(ROOT)}:{line}" for p in files for line in calls_of_print(p)]
    assert len(files) > 10
    assert printing == []


def test_every_module_that_logs_has_a_logger_of_its_own_name():
    for path in (ROOT / "qtha_lab").rglob("*.py"):
        source = path.read_text()
        if "getLogger(" in source and path.name not in ("logs.py", "quiet.py"):
            assert "log = logging.getLogger(__name__)" in source, path

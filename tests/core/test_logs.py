"""The package logs at the level of `QTHA_LAB_LOG`, and only commands print."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAY = """
import logging, qtha_lab
from qtha_lab.core import paths
logging.getLogger("qtha_lab.runs.run").info("launching lora")
logging.getLogger("qtha_lab.runs.run").warning("a second thing")
print(paths.log_file())
"""


def say(value: str) -> tuple[str, str]:
    """Return the output and the log of a process with this value of the variable."""
    env = {**os.environ, "QTHA_LAB_LOG": value}
    done = subprocess.run([sys.executable, "-c", SAY], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_a_level_alone_logs_on_standard_error():
    place, log = say("info")
    assert "INFO qtha_lab.runs.run: launching lora" in log
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
        "INFO qtha_lab.runs.run: launching lora",
        "WARNING qtha_lab.runs.run: a second thing",
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
    printers = {ROOT / "qtha_lab" / "cli", ROOT / "qtha_lab" / "core" / "io"}
    files = [p for p in (ROOT / room).rglob("*.py") if not printers & {*p.parents}]
    printing = [f"{p.relative_to(ROOT)}:{line}" for p in files for line in calls_of_print(p)]
    assert len(files) > 10
    assert printing == []


FILES = [p for room in ("qtha_lab", "widgets") for p in sorted((ROOT / room).rglob("*.py"))]
NAMES_OF_EXCEPTIONS = {
    "FileExistsError": "another process was quicker",
    "FileNotFoundError": "the answer is that there is none",
    "ModuleNotFoundError": "the answer is that there is none",
    "PackageNotFoundError": "the answer is that there is none",
    "BlockingIOError": "the answer is that somebody holds the lock",
    "ProcessLookupError": "the process has ended already",
    "IndexError": "another thread was quicker",
    "Interrupted": "a run was asked to stop",
    "KeyboardInterrupt": "a person stopped it",
    "AnswerTimeout": "the grader says that an answer does not end",
    "SystemExit": "the grader says that an answer ends Python",
}
CONVERSIONS = {  # functions that ask whether a value is a number, a time or a list of whole numbers
    "read_value",
    "_shape_of_numbers",
    "_number",
    "is_event",
    "_read",
    "local_time",
    "idle_seconds",
    "alpha_of",
    "number_of",
    "time_of",
    "_age_of",
    "_polynomial",
}
OF_A_READER = {  # functions of the lessons that try what a reader wrote; any exception is an answer
    "_add_literal",
    "_array",
    "_changed",
    "_first_fault",
    "_is_empty",
    "_letters",
    "_statement",
    "own_build",
    "read",
    "short_text",
}


def handlers(tree: ast.AST, function: str = ""):
    """Every `except` clause and every `suppress(…)`, with the function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inside = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if isinstance(node, ast.ExceptHandler):
            yield node, inside
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            yield node, inside
        yield from handlers(node, inside)


def leaves_a_trace(handler: ast.AST) -> bool:
    """Report if a caught exception is raised, logged or passed on."""
    if not isinstance(handler, ast.ExceptHandler):
        return False
    nodes = [node for line in handler.body for node in ast.walk(line)]
    logs = (isinstance(n, ast.Attribute) and ast.unparse(n.value) == "log" for n in nodes)
    uses = (isinstance(n, ast.Name) and n.id == handler.name for n in nodes)
    return any(isinstance(n, ast.Raise) for n in nodes) or any(logs) or any(uses)


def exceptions_of(handler: ast.AST) -> set[str]:
    """The names of the exceptions that a clause takes."""
    kind = handler.type if isinstance(handler, ast.ExceptHandler) else None
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind] if kind else []
    return {ast.unparse(kind).rpartition(".")[2] for kind in kinds} or {"all"}


def test_an_exception_that_goes_no_further_leaves_a_line_in_the_log():
    silent, logged = [], 0
    for path in FILES:
        for handler, function in handlers(ast.parse(path.read_text())):
            answers = exceptions_of(handler) <= set(NAMES_OF_EXCEPTIONS) or function in CONVERSIONS
            answers = answers or (path.parent.name == "lessons" and function in OF_A_READER)
            if leaves_a_trace(handler):
                logged += 1
            elif not answers and path.name != "logging_setup.py":
                silent.append(f"{path.relative_to(ROOT)}:{handler.lineno} in {function}")
    assert silent == []
    assert logged > 50


def calls_of_the_log(tree: ast.AST):
    """The arguments of every call of a logger's methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in LEVELS:
            yield node.args


LEVELS = {f"log.{level}" for level in ("debug", "info", "warning", "error", "exception")}


@pytest.mark.parametrize("path", [p for p in FILES if "log." in p.read_text()], ids=str)
def test_a_log_line_is_put_together_only_where_it_is_read(path):
    for form, *values in calls_of_the_log(ast.parse(path.read_text())):
        assert isinstance(form, ast.Constant), ast.unparse(form)
        assert form.value.replace("%%", "").count("%") == len(values), form.value


def test_every_module_that_logs_has_a_logger_of_its_own_name():
    for path in FILES:
        source = path.read_text()
        if any(calls_of_the_log(ast.parse(source))):
            assert "log = logging.getLogger(__name__)" in source, path

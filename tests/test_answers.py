"""Answers of the command that follow from the code alone: kept, and never those of another code."""

import json
import os
import subprocess
import sys

import pytest

from qtha_lab.cli import answers

SCRIPT = """
import atexit, json, sys
from qtha_lab.cli import main
atexit.register(lambda: print(json.dumps("torch" in sys.modules), file=sys.stderr))
sys.argv = ["qtha-lab", "methods", "--json", "--sizes", "64,32"]
main()
"""


def methods(cache):
    """What the command prints, and whether it imported torch."""
    environment = os.environ | {"QTHA_LAB_CACHE": str(cache)}
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout), json.loads(process.stderr.splitlines()[-1])


def test_the_methods_are_counted_once_and_listed_without_a_library(tmp_path):
    first, second = methods(tmp_path), methods(tmp_path)
    assert first[0] == second[0]
    assert (first[1], second[1]) == (True, False)
    lora = next(row for row in first[0]["methods"] if row["method"] == "lora")
    assert lora["parameters, 64 → 32"] == f"{8 * (64 + 32)}"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Asks with a cache folder of its own; gives the answer and how often it was worked out so far."""
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path))
    computed = []

    def ask(question="a", package="no.such.package", group="qtha_lab.no_group"):
        def compute():
            computed.append(question)
            return [question, len(computed)]

        return answers.answer(question, compute, package, group), len(computed)

    return ask


def test_each_question_has_its_answer(asked):
    assert [asked("a"), asked("b"), asked("a"), asked("b")] == [
        (["a", 1], 1), (["b", 2], 2), (["a", 1], 2), (["b", 2], 2),
    ]  # fmt: skip


def test_other_code_is_asked_anew(asked, monkeypatch):
    asked()
    monkeypatch.setattr(answers, "digest", lambda: "of other sources")
    assert asked() == (["a", 2], 2)


def test_what_others_may_have_added_to_is_not_kept(asked):
    assert asked(package="json")[1] == asked(package="json")[1] - 1
    before = asked(group="pytest11")[1]
    assert asked(group="pytest11")[1] == before + 1


@pytest.mark.parametrize("content", [b"", b"garbage", b"[]", b'{"answers": 3}', b"\xff\xfe"])
def test_a_damaged_file_is_replaced(asked, tmp_path, content):
    (tmp_path / "answers.json").write_bytes(content)
    assert asked() == (["a", 1], 1)
    assert asked() == (["a", 1], 1)


def test_a_folder_that_cannot_be_written_to_stops_nothing(asked, tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_CACHE", str(tmp_path / "file" / "inside"))
    (tmp_path / "file").write_text("")
    assert asked() == (["a", 1], 1)
    assert asked() == (["a", 2], 2)

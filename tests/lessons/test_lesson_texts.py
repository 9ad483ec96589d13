"""Text files of lessons: a fault is refused with file and line, and no command copies them."""

import re

import pytest

from qtha_lab.core.errors import Refusal
from qtha_lab.core.paths import notebooks_dir
from qtha_lab.lessons.builds import BUILDS
from qtha_lab.lessons.copying import copy_notebooks
from qtha_lab.lessons.kit.assignment import write_assignments
from qtha_lab.lessons.kit.lesson_page import lesson_pages
from qtha_lab.lessons.lesson_texts import load_lesson
from qtha_lab.lessons.predictions import PREDICTIONS
from qtha_lab.lessons.registry import EXERCISES

TEXT = '''
[[prediction]]
number = "91.a"
question = "Which one?"
options = ["one", "two"]

[[build]]
number = "91.twice"
name = "twice"
minutes = 3
hints = ["Add.", "Add x twice.", "x + x"]
drawing = "x -> 2 x"
stub = "def twice(x: float) -> float: ..."
steps = [
  { check = "doubles", sentence = "it doubles a number" },
]
solution = """
def twice(x):
    return 2 * x
"""

[[build]]
number = "91.quarter"
name = "quarter"
minutes = 3
hints = ["Twice.", "Twice twice.", "twice(twice(x))"]
drawing = "x -> 4 x"
stub = "def quarter(x: float) -> float: ..."
needs = ["91.twice"]
steps = [
  { check = "quadruples", sentence = "it takes it four times" },
]
solution = "quarter = lambda x: twice(twice(x))"

[[exercise]]
number = "91.1"
title = "The double"
difficulty = 1
minutes = 2
answer = "double"
right = 6
ranges = { x = [3, 5] }
phrases = ["$x = {x}$"]
hints = ["Add.", "Add it to itself.", "{x} + {x}"]
setup = """
number = "90.1"
"""
solution = """
x = {x}
double = x + x
"""
remark = "Twice."

[[exercise.mistakes]]
change = "x + x"
to = "x * x"
reason = "that is the square"

[[exercise.mistakes]]
code = "double = {x}"
reason = "that is the number itself"

[[exercise]]
number = "91.2"
title = "True sentences"
difficulty = 1
minutes = 2
kind = "E"
answer = "text"
hints = ["One.", "Two.", "Three."]
rubric = ["a is true", "b is false"]
model_answer = "a is true, and b is false."
remark = "Two of three."

[[exercise]]
number = "91.3"
title = "A large even number"
difficulty = 1
minutes = 2
kind = "C"
answer = "even"
hints = ["One.", "Two.", "Three."]
solution = "even = 10"
remark = "Even."
ranges = { least = [8, 6] }

[exercise.properties]
even = { check = "divides", with = { by = 2 }, reason = "it is odd" }
is_large = "it is below {least}"

[[exercise.mistakes]]
code = "even = 11"
lacks = "even"
'''


def _doubles(function):
    return function(3), 6, "3"


def _quadruples(function):
    return function(3), 12, "3"


def _divides(answer, by):
    return answer % by == 0


def _is_large(answer, least):
    return answer >= least


@pytest.fixture
def load(tmp_path):
    """Load a text as a lesson whose checks are in this module."""
    for registry in (PREDICTIONS, BUILDS, EXERCISES):
        registry.discover()

    def load_text(text: str) -> None:
        file = tmp_path / "91_double.toml"
        file.write_text(text)
        load_lesson(file, __name__)

    yield load_text
    for registry in (PREDICTIONS, BUILDS, EXERCISES):
        registry.forget(__name__)


def test_a_text_declares_predictions_builds_and_exercises_of_each_kind(load):
    load(TEXT)
    assert PREDICTIONS["91.a"].options == ("one", "two")
    assert BUILDS["91.quarter"].solved()(1) == 4
    number, text, even = (EXERCISES[f"91.{k}"] for k in (1, 2, 3))
    assert number.solution == "x = 3\ndouble = x + x"
    assert number.mistakes[0] == ("x = 3\ndouble = x * x", "that is the square")
    assert number.with_constants({"x": 5}).grader.right == 10
    assert text.answer_of(text.solution) == "\na is true, and b is false.\n"
    assert (text.mistakes, text.grader.rubric) == ((), ("a is true", "b is false"))
    assert even.mistakes == (("even = 11", "it is odd"),)
    even.grader.check(8)
    with pytest.raises(Exception, match="it is below 8"):
        even.grader.check(6)
    even.with_constants({"least": 6}).grader.check(6)


PREDICTION, EXERCISE = '[[prediction]]\nnumber = "91.a"', '[[exercise]]\nnumber = "91.1"'
FAULTS = {  # change of the text, text at the line of the fault, and a part of the sentence
    "syntax": ('title = "The double"', "title = The double", "title = The", "TOML"),
    "unknown key": ('title = "The double"', 'titel = "The double"', "titel", "titel must be valid"),
    "missing key": ('remark = "Twice."\n', "", EXERCISE, "remark must be valid, got none"),
    "another type": ("minutes = 2\nanswer = \"do", 'minutes = "many"\nanswer = "do', "minutes = \"many", "'many'"),
    "difficulty": ("difficulty = 1\nminutes = 2\nanswer = \"do", "difficulty = 7\nminutes = 2\nanswer = \"do", EXERCISE, "difficulty must be from 1"),
    "hints": ('"Add it to itself.", ', "", EXERCISE, "Hints of exercise 91.1"),
    "hints of a build": ('"Add x twice.", ', "", 'hints = ["Add.", "x + x"]', "hints must be valid"),
    "change": ('change = "x + x"', 'change = "y + y"', '[[exercise.mistakes]]\nchange', "change must occur once"),
    "no check": ('check = "doubles"', 'check = "halves"', "steps = [", "'halves'"),
    "needs": ('needs = ["91.twice"]', 'needs = ["91.thrice"]', '[[build]]\nnumber = "91.quarter"', "'91.thrice'"),
    "lacks": ('lacks = "even"', 'lacks = "odd"', '[[exercise.mistakes]]\ncode = "even = 11"', "'odd'"),
    "no kind of answer": ('options = ["one", "two"]', "", PREDICTION, "one of options, sketch and is_number"),
    "two kinds of answer": ('options = ["one", "two"]', 'options = ["one"]\nis_number = true', PREDICTION, "one of"),
    "answer": ('options = ["one", "two"]', 'options = ["one"]\nanswer = "two"', PREDICTION, "options, got two"),
    "sketch": ('options = ["one", "two"]', "sketch = [1, 2]", PREDICTION, "sketch must have 5 places"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_text_is_refused_with_its_line(fault, load):
    old, new, place, part = FAULTS[fault]
    assert TEXT.count(old) == 1
    text = TEXT.replace(old, new)
    with pytest.raises(Refusal) as caught:
        load(text)
    message = str(caught.value)
    line = text[: text.index(place)].count("\n") + 1
    assert "91_double.toml" in message
    assert re.search(rf"line {line}\b", message), message
    assert part in message
    assert len(message) <= 300


def test_no_command_copies_a_text_to_students(tmp_path):
    copy_notebooks(tmp_path / "lab")
    write_assignments(lesson_pages(), tmp_path / "course", with_source=False)
    files = [path.suffix for path in tmp_path.rglob("*") if path.is_file()]
    assert set(files) == {".ipynb"}


def test_every_lesson_has_one_text_beside_its_notebook():
    texts = {path.stem for path in notebooks_dir().glob("*.toml")}
    assert texts == {page.stem for page in lesson_pages()}

"""Predictions, builds, stored work and the drawing of the course."""

import importlib.util
import json
import linecache
import time

import numpy as np
import pytest
from support.refusals import refused

from qtha_lab.lessons import (
    build,
    check,
    own_piece,
    predict,
    progress,
    reveal,
    saved_answers,
    what_to_see,
)
from qtha_lab.lessons.answer_source import source_of
from qtha_lab.lessons.builds import BUILDS, BuildTask
from qtha_lab.lessons.lesson_texts import load_lesson
from qtha_lab.lessons.predictions import PREDICTIONS, Prediction
from qtha_lab.lessons.questions import as_text
from qtha_lab.lessons.time_limit import PATIENCE, AnswerTimeout, time_limit, uncounted


def rotation_shape(rotation):
    return np.shape(rotation(0.3)), (2, 2), 0.3


def rotation_values(rotation):
    c, s = np.cos(0.15), np.sin(0.15)
    return rotation(0.3), [[c, -s], [s, c]], 0.3


DESK = """
[[prediction]]
number = "90.a"
question = "How many entries of ΔW are not zero?"
options = ["8", "0"]
answer = "0"
[prediction.misconceptions]
"8" = "A is random, but B is zero"

[[prediction]]
number = "90.b"
question = "Which rate is best?"
is_number = true

[[prediction]]
number = "90.c"
question = "Draw the error."
sketch = [1, 2, 4, 8, 16]

[[build]]
number = "90.ry"
name = "rotation"
minutes = 5
hints = ["A matrix.", "Cosine and sine.", "Of half the angle."]
drawing = "t -> RY(t)"
stub = "def rotation(t: float) -> np.ndarray: ..."
steps = [
  { check = "rotation_shape", sentence = "it is 2 × 2" },
  { check = "rotation_values", sentence = "it rotates by half the angle" },
]
setup = "import numpy as np"
solution = '''
def rotation(t):
    c, s = np.cos(t / 2), np.sin(t / 2)
    return np.array([[c, -s], [s, c]])
'''
"""


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """Predictions and a build of a lesson 90, and an empty folder for the reader's work."""
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path / "my"))
    BUILDS.discover()
    text = tmp_path / "90_desk.toml"
    text.write_text(DESK)
    load_lesson(text, __name__)
    yield tmp_path / "my"
    for registry in (PREDICTIONS, BUILDS):
        registry.forget(__name__)


@pytest.fixture
def reader(monkeypatch):
    """A page with a reader, as JupyterLab shows it."""
    for module in ("predictions", "questions"):
        monkeypatch.setattr(f"qtha_lab.lessons.{module}.has_reader", lambda: True)


def test_without_a_reader_a_prediction_counts_as_skipped_and_the_result_is_shown(desk):
    question = repr(predict("90.a"))
    assert question == "Prediction 90.a: How many entries of ΔW are not zero? (8, 0) Skipped."
    assert repr(reveal("90.a", 0, "because B starts at zero.")) == (
        "It is 0, because B starts at zero."
    )
    assert not desk.exists(), "nothing was answered"


def test_a_reader_predicts_before_the_result_is_shown(desk, reader):
    result = reveal("90.a", 0, "because B starts at zero.")
    assert repr(result) == "Predict first, or press skip."
    question = predict("90.a")
    question.answer("8")
    assert repr(result) == (
        "You said 8; it is 0, because B starts at zero. About 8: A is random, but B is zero."
    )
    assert repr(question).endswith("You said 8.")
    stored = json.loads((desk / "progress.json").read_text())["predictions"]["90.a"]
    assert stored["answer"] == "8"


def test_statements_that_answer_a_prediction_are_folded_until_it_is_made(desk, reader):
    statements = what_to_see(("One is less than two.", 1 < 2), after="90.a")
    assert statements._repr_markdown_().startswith("<details><summary>What to see: predict 90.a")
    predict("90.a", "skip")
    assert statements._repr_markdown_().startswith("**What to see.**")


def test_a_right_prediction_and_a_skip_are_told_apart(desk, reader):
    predict("90.a", "0")
    assert repr(reveal("90.a", 0, "because.")) == "You said 0, and it is 0, because."
    predict("90.b", "skip")
    assert repr(reveal("90.b", 0.003, "because.")) == "It is 0.003, because."
    assert repr(predict("90.b")).endswith("Skipped.")


def test_a_number_and_a_curve_are_compared_with_the_result(desk, reader):
    predict("90.b", "0.01")
    assert repr(reveal("90.b", 0.003, "because.")) == "You said 0.01; it is 0.003, because."
    predict("90.c", [1, 1, 1, 0.5, 0])
    curve = reveal("90.c", np.array([1, 0.5, 0.25, 0.125, 0]), "because.")
    assert repr(curve) == "You said 1, 1, 1, 0.5, 0; it is 1, 0.5, 0.25, 0.125, 0, because."
    assert "entry 2 is 1 instead of 0.25" in curve.bundle()["text/html"]


@pytest.mark.parametrize(
    ("number", "answer", "setting", "value"),
    [
        ("90.a", "7", "The prediction", "7"),
        ("90.b", "many", "The prediction", "'many'"),
        ("90.b", float("nan"), "The prediction", "nan"),
        ("90.c", [1, 2], "The prediction", "[1, 2]"),
        ("90.z", 1, "prediction", "'90.z'"),
    ],
)
def test_an_answer_that_was_not_asked_for_is_refused(desk, number, answer, setting, value):
    with refused(setting, value):
        predict(number, answer)
    assert not desk.exists()


def test_a_build_stops_at_the_first_step_that_fails_and_shows_its_input(desk):
    assert repr(build("90.ry", ...)).startswith("○ 90.ry not attempted")
    flat = build("90.ry", lambda t: [1.0, t])
    assert (flat.passed, flat.failed) == ((), "it is 2 × 2")
    assert flat.reason == "(2,) instead of (2, 2)"
    whole = build("90.ry", lambda t: np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]))
    assert repr(whole).splitlines()[:2] == ["✗ 90.ry not yet", "✓ it is 2 × 2"]
    assert "[[ 0.955336, -0.29552 ], [ 0.29552" in whole.reason
    assert whole.given == "0.3"
    assert whole.figure.alt.startswith("4 entries, of which 4 differ")
    assert "<svg" in whole._repr_html_()
    assert flat.figure is None


def test_complex_amplitudes_are_compared_with_their_phases(desk):
    state = np.array([1, 1j]) / np.sqrt(2)
    step = ("it is a state", lambda f: (f(), state, "no input"))
    BUILDS.add("90.state", BuildTask("90.state", "state", (step,)), __name__)
    assert build("90.state", lambda: state).state == "built"
    assert build("90.state", lambda: state.conj()).state == "not yet"


@pytest.mark.parametrize(
    ("built", "reason"),
    [
        (lambda t: 1 / 0, "it stops with ZeroDivisionError: division by zero"),
        (lambda: 1, "it stops with TypeError"),
        (7, "it stops with TypeError: 'int' object is not callable"),
        (lambda t: None if t else 0, "() instead of (2, 2)"),
        (lambda t: [["a", "b"], ["c", "d"]], "the answer must be numbers, not [['a', 'b']"),
    ],
)
def test_a_piece_that_does_anything_else_gets_a_sentence(desk, built, reason):
    result = build("90.ry", built)
    assert result.state == "not yet"
    assert reason in result.reason


def test_the_solution_of_a_build_passes_all_its_steps(desk):
    assert repr(build("90.ry", BUILDS["90.ry"].solved())).splitlines() == [
        "✓ 90.ry built",
        "✓ it is 2 × 2",
        "✓ it rotates by half the angle",
    ]


def cell(source, names):
    """Run code as a notebook's cell, whose source can be read again."""
    name = f"<cell {abs(hash(source))}>"
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    exec(compile(source, name, "exec"), names)
    return names


def notebook():
    names = {"__name__": "__main__"}
    cell("import numpy as np\nfrom math import cos as c\nhalf = 0.5", names)
    cell("def waves(t):\n    return c(half * t), np.sin(half * t)\n", names)
    cell("def rotation(t):\n    a, b = waves(t)\n    return [[a, -b], [b, a]]\n", names)
    return names


def test_an_accepted_build_is_written_as_a_file_that_can_be_imported(desk):
    names = notebook()
    assert build("90.ry", names["rotation"]).state == "built"
    file = desk / "lesson_90.py"
    text = file.read_text()
    assert "from math import cos as c" in text
    assert "import numpy as np" in text
    spec = importlib.util.spec_from_file_location("of_a_reader", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.rotation(0.3) == names["rotation"](0.3)
    assert own_piece("90.ry")(0.3) == names["rotation"](0.3)


def test_a_newer_answer_replaces_its_own_section_alone(desk):
    saved_answers.store_code("90.ry", "rotation", 1)
    saved_answers.store_code("90.a", "other", 2)
    saved_answers.store_code("90.ry", "rotation", 3)
    text = (desk / "lesson_90.py").read_text()
    assert "rotation = 3" in text
    assert "rotation = 1" not in text
    assert "other = 2" in text
    assert text.startswith('"""Accepted answers and builds of lesson 90.')


def test_a_piece_that_was_never_accepted_is_refused_in_a_sentence(desk):
    with refused("rotation", "no accepted answer to 90.ry"):
        own_piece("90.ry")
    desk.mkdir()
    (desk / "lesson_90.py").write_text("def rotation(t: return")
    with refused("lesson_90.py", "SyntaxError"):
        own_piece("90.ry")


def test_attempts_and_accepted_answers_are_counted_and_drawn(desk):
    check("1.1", 5)
    check("1.1", 10)
    check("1.2", "z")
    build("90.ry", lambda t: t)
    predict("90.b", 0.1)
    stored = json.loads((desk / "progress.json").read_text())
    assert stored["exercises"]["1.1"]["attempts"] == 2
    assert (stored["exercises"]["1.1"]["done"], stored["exercises"]["1.2"]["done"]) == (True, False)
    drawn = progress()
    assert drawn.lessons[1]["exercises"]["1.1"] == "✓"
    assert drawn.lessons[1]["exercises"]["1.2"] == "✗"
    assert drawn.lessons[1]["exercises"]["1.3"] == "○"
    assert drawn.lessons[90] == {
        "predictions": {"90.a": "○", "90.b": "✓", "90.c": "○"},
        "builds": {"90.ry": "✗"},
        "exercises": {},
    }
    assert drawn.done[0] == 1
    assert "largest_rank = 10" in (desk / "lesson_01.py").read_text()


def test_a_damaged_record_is_set_aside_and_not_lost(desk):
    desk.mkdir()
    (desk / "progress.json").write_text("{broken")
    predict("90.b", 0.1)
    assert (desk / "progress.damaged.json").read_text() == "{broken"
    assert saved_answers.entry("predictions", "90.b")["answer"] == 0.1


@pytest.mark.parametrize(
    "content",
    ["[]", "3", '{"exercises": []}', '{"exercises": {"1.1": 7}}',
     '{"exercises": {"1.1": {"attempts": "many", "done": "no"}}, "predictions": null}'],
)  # fmt: skip
def test_a_record_of_another_shape_stops_nothing(desk, content):
    desk.mkdir()
    (desk / "progress.json").write_text(content)
    assert check("1.1", 3).state == "wrong"
    assert check("1.1", 10).state == "right"
    assert repr(predict("90.b")).endswith("Skipped.")
    assert saved_answers.entry("exercises", "1.1")["attempts"] == 2
    assert progress().lessons[1]["exercises"]["1.1"] == "✓"


class Awkward:
    def __getattr__(self, name):
        raise RuntimeError(name)


def test_an_answer_without_source_or_too_long_is_not_stored(desk):
    saved_answers.store_code("90.ry", "rotation", Awkward())
    saved_answers.store_code("90.ry", "rotation", list(range(60_000)))
    assert not (desk / "lesson_90.py").exists()


def test_a_folder_that_cannot_be_written_does_not_stop_a_lesson(desk, caplog):
    desk.write_text("a file")
    assert check("1.1", 10).state == "right"
    assert "is not written" in caplog.text


def test_values_and_what_they_need_become_code():
    names = notebook()
    assert source_of("x", (1, 2.5, "a")) == "x = (1, 2.5, 'a')"
    assert source_of("x", np.array([1.0, 0.0])) == "x = [1.0, 0.0]"
    assert source_of("x", np.cos) == "from numpy import cos as x"
    assert source_of("x", object()) is None
    cell("doubled = lambda t: 2 * waves(t)[0]", names)
    code = source_of("other", names["doubled"])
    assert code.splitlines()[-1] == "other = doubled"
    exec(code, again := {})
    assert again["other"](0.3) == names["doubled"](0.3)
    cell("class Layer:\n    def __init__(self):\n        self.w = waves(1)\n", names)
    exec(source_of("Layer", names["Layer"]), again := {})
    assert again["Layer"]().w == names["waves"](1)


def never_ends():
    while True:
        try:
            while True:
                pass
        except Exception:
            continue


def test_endless_code_is_interrupted_in_any_thread():
    import threading

    ends = []

    def work():
        with pytest.raises(AnswerTimeout), time_limit(0.05):
            never_ends()
        ends.append(True)

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert ends == [True, True]


@pytest.mark.parametrize("in_thread", [False, True])
def test_time_in_which_a_kernel_is_compiled_does_not_count(in_thread):
    import threading

    import numba

    limit, took, ends = 0.02, [], []

    def compile_and_loop():
        began = time.process_time()
        numba.njit(lambda x: np.linalg.inv(x) + np.linalg.qr(x)[0])(np.eye(2))
        took.append(time.process_time() - began)
        never_ends()

    def work():
        with pytest.raises(AnswerTimeout), time_limit(limit):
            compile_and_loop()
        ends.append(True)

    if in_thread:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(60)
    else:
        work()
    assert took[0] > PATIENCE * limit  # else the compilation ended within the limit
    assert ends == [True]


def test_a_prediction_reads_every_kind_of_answer():
    curve = Prediction("1.a", "Draw.", sketch=(1, 2, 3, 4, 5))
    assert curve.read(np.arange(5)) == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert Prediction("1.a", "How many?").read("3") == 3.0
    assert Prediction("1.a", "Which?", ("8", "0")).read(8) == "8"


DECLARED = list(PREDICTIONS.values())


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.number)
def test_every_answer_to_a_declared_prediction_is_compared_with_a_result(declared, desk):
    result = declared.answer or (declared.options[0] if declared.options else 3.0)
    answers = declared.options or ([declared.limits[1]] * 5 if declared.sketch else 2.5,)
    if declared.sketch:
        result = [declared.limits[0]] * 5
        answers = ([declared.limits[1]] * 5,)
    for answer in answers:
        predict(declared.number, answer)
        text = repr(reveal(declared.number, result, "because it was measured."))
        assert text.startswith(f"You said {as_text(answer)}")
        assert "because it was measured." in text
        reason = declared.misconceptions.get(str(answer)) if declared.options else None
        is_right = declared.options and as_text(answer) == as_text(result)
        assert bool(reason and not is_right) == ("About " in text)


@pytest.mark.parametrize("declared", DECLARED, ids=lambda declared: declared.number)
def test_a_declared_prediction_is_a_question_that_a_holder_of_a_misconception_gets_wrong(declared):
    assert "?" in declared.question or declared.sketch
    assert len(set(declared.options)) == len(declared.options)
    if declared.answer is not None:
        assert declared.answer not in declared.misconceptions


def test_a_check_with_its_own_limit_costs_an_answer_no_time():
    @uncounted
    def waits():
        time.sleep(0.3)

    done = []

    def work():
        waits()
        done.append("waited")
        never_ends()

    with pytest.raises(AnswerTimeout), time_limit(0.05):
        work()
    assert done == ["waited"]

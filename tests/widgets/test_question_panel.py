"""The panel of a prediction: its controls store the answer, and results that wait are shown."""

import json

import pytest

from qtha_lab.lessons import questions
from qtha_lab.lessons.predictions import Prediction
from qtha_lab.lessons.questions import Question
from widgets.lessons.question import CurveSliders, QuestionPanel

CHOICE = Prediction("91.a", "Which?", ("LoRA", "QTHA"))
NUMBER = Prediction("91.b", "How many?")
CURVE = Prediction("91.c", "Draw it.", sketch=(1, 2, 4, 8, 16), limits=(0, 4), labels=("n", "loss"))


@pytest.fixture(autouse=True)
def my(tmp_path, monkeypatch):
    monkeypatch.setenv("QTHA_LAB_MY", str(tmp_path))
    return tmp_path


def stored(my, number):
    return json.loads((my / "progress.json").read_text())["predictions"][number]["answer"]


def press(panel, description):
    next(b for b in panel.buttons if b.description == description).click()


def test_an_option_is_stored_by_one_click_and_cannot_be_changed(my):
    panel = QuestionPanel(Question(CHOICE))
    assert [b.description for b in panel.buttons] == ["LoRA", "QTHA", "skip"]
    press(panel, "QTHA")
    assert stored(my, "91.a") == "QTHA"
    assert all(button.disabled for button in panel.buttons)
    assert panel.message.value == '<span role="status">You said QTHA. It is kept.</span>'
    assert "You said QTHA." in panel.still()["text/plain"]


def test_a_skip_is_one_click_and_is_stored_as_a_skip(my):
    panel = QuestionPanel(Question(CHOICE))
    press(panel, "skip")
    assert stored(my, "91.a") == "skip"
    assert "Skipped." in panel.message.value


def test_a_number_that_is_none_is_refused_on_the_panel(my):
    panel = QuestionPanel(Question(NUMBER))
    entry = panel.children[1].children[0]
    entry.value = "many"
    press(panel, "Keep")
    assert panel.error.text == "The prediction must be a number, got 'many'."
    assert not (my / "progress.json").exists()
    entry.value = "1e3"
    press(panel, "Keep")
    assert (panel.error.text, stored(my, "91.b")) == ("", 1000.0)


def test_a_curve_is_stored_as_it_was_drawn(my):
    panel = QuestionPanel(Question(CURVE))
    curve = panel.children[1]
    assert isinstance(curve, CurveSliders)
    assert curve.values == [2.0] * 5
    for slider, height in zip(curve.children, [4.0, 3.0, 2.0, 1.0, 0.5], strict=True):
        slider.value = height
    press(panel, "Keep this curve")
    assert stored(my, "91.c") == [4.0, 3.0, 2.0, 1.0, 0.5]


def test_an_answer_from_before_is_shown(my):
    panel = QuestionPanel(Question(CHOICE), "LoRA")
    assert "You said LoRA. It is kept." in panel.message.value
    assert all(button.disabled for button in panel.buttons)


def test_a_result_that_waits_is_shown_once_the_answer_is_there(my, monkeypatch):
    class Handle:
        shown = None

        def update(self, bundle, raw):
            self.shown = bundle["text/plain"]

    handle = Handle()
    reveal = questions.Reveal(CHOICE, "LoRA", "because it was tuned.")
    monkeypatch.setitem(questions._waiting, "91.a", [(reveal, handle)])
    press(QuestionPanel(Question(CHOICE)), "QTHA")
    assert handle.shown == "You said QTHA; it is LoRA, because it was tuned."
    assert "91.a" not in questions._waiting

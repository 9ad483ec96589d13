"""Every declared build: a built of another kind gets a sentence at its first step."""

import pytest

from qtha_lab.lessons import build
from qtha_lab.lessons.builds import BUILDS

each = pytest.mark.parametrize("number", list(BUILDS))


@each
@pytest.mark.parametrize(
    "built",
    [
        None,
        7,
        "a duck",
        lambda *_, **__: [None][0],
        lambda *_, **__: "a duck",
        lambda: 1 / 0,
        object,
    ],
    ids=["None", "number", "text", "nothing", "returns text", "no arguments", "class"],
)
def test_a_piece_of_another_kind_fails_at_the_first_step_with_a_sentence(number, built):
    result = build(number, built)
    assert (result.state, result.passed) == ("not yet", ())
    assert result.failed == BUILDS[number].steps[0][0]
    assert result.reason
    assert "Traceback" not in result._repr_html_()


@each
def test_a_stub_is_not_attempted(number):
    def stub(*arguments): ...

    class Stub:
        """A class that does nothing."""

        def forward(self, x): ...

    states = {build(number, empty).state for empty in (..., stub, Stub)}
    assert states == {"not attempted"}


@each
def test_steps_are_sentences_of_their_own(number):
    sentences = [sentence for sentence, _ in BUILDS[number].steps]
    assert len(set(sentences)) == len(sentences)
    assert all(len(sentence.split()) >= 3 for sentence in sentences)

"""Questions on a page: `predict` asks for a prediction, `reveal` compares it with the result.

    predict("1.a")                                 shows the question with "skip"
    reveal("1.a", 0, "because B starts at zero.")  You said 8; it is 0, because B starts at zero.

Without a reader, as in an executed notebook, a prediction counts as skipped.
"""

import html
from collections.abc import Sequence
from typing import Any

from qtha_lab.core.panel_import import panel_module
from qtha_lab.core.reader_page import has_reader
from qtha_lab.figures.expected_values import expected_values
from qtha_lab.lessons import saved_answers
from qtha_lab.lessons.predictions import PREDICTIONS, SKIP, Prediction, answer_to, is_open

UNANSWERED = "Predict first, or press skip."
_waiting: dict[str, list[tuple["Reveal", Any]]] = {}


class Question:
    """A prediction on a page: buttons, a field or a curve; elsewhere its text.

    Args:
        declared: Declaration of the prediction.
    """

    def __init__(self, declared: Prediction):
        self.declared = declared

    def answer(self, value: Any) -> None:
        """Store an answer, or "skip", and show the results that wait for it.

        Raises:
            Refusal: If the answer is none of those asked for.
        """
        number = self.declared.number
        saved_answers.store("predictions", number, answer=self.declared.read(value))
        for reveal, handle in _waiting.pop(number, []):
            handle.update(reveal.bundle(), raw=True)

    def __repr__(self) -> str:
        declared, answer = self.declared, answer_to(self.declared.number)
        if answer is None:
            state = f'Answer it by predict("{declared.number}", …).' if has_reader() else "Skipped."
        else:
            state = "Skipped." if answer == SKIP else f"You said {as_text(answer)}."
        choices = f" ({', '.join(declared.options)})" if declared.options else ""
        return f"Prediction {declared.number}: {declared.question}{choices} {state}"

    def _ipython_display_(self) -> None:
        from IPython.display import display

        module = panel_module("lessons.question") if has_reader() else None
        if module is None:
            display(text_bundle(repr(self)), raw=True)
        else:
            display(module.QuestionPanel(self, answer_to(self.declared.number)))


class Reveal:
    """The result of a prediction, hidden until the reader predicts or skips.

    Args:
        declared: Declaration of the prediction.
        value: The result: an option, a number, or five numbers for a sketch.
        because: The reason, as the end of the sentence.
    """

    def __init__(self, declared: Prediction, value: Any, because: str):
        self.declared, self.value, self.because = declared, value, because

    def __repr__(self) -> str:
        number = self.declared.number
        if is_open(number):
            return UNANSWERED
        said, value = answer_to(number), as_text(self.value)
        if said in (None, SKIP):
            return f"It is {value}, {self.because}"
        if as_text(said) == value:
            return f"You said {value}, and it is {value}, {self.because}"
        misconception = self.declared.misconceptions.get(said) if isinstance(said, str) else None
        aside = f" About {said}: {misconception.rstrip('.')}." if misconception else ""
        return f"You said {as_text(said)}; it is {value}, {self.because}{aside}"

    def bundle(self) -> dict[str, str]:
        """Return the sentence by MIME type; a curve is drawn beside the result."""
        bundle = text_bundle(repr(self))
        said = answer_to(self.declared.number)
        if self.declared.sketch and isinstance(said, list) and not is_open(self.declared.number):
            bundle["text/html"] += expected_values(said, self.value).svg()
        return bundle

    def _ipython_display_(self) -> None:
        from IPython.display import display

        handle = display(self.bundle(), raw=True, display_id=True)
        if is_open(self.declared.number):
            _waiting.setdefault(self.declared.number, []).append((self, handle))


def predict(number: str, answer: Any = None) -> Question:
    """Show a prediction's question; on a page with buttons, elsewhere as text.

    Args:
        number: Lesson and letter, `"1.a"`.
        answer: Answer of a page without buttons, or "skip".

    Raises:
        Refusal: If there is no such prediction, or the answer is none of those asked for.
    """
    question = Question(PREDICTIONS.get_or_refuse(number))
    if answer is not None:
        question.answer(answer)
    return question


def reveal(number: str, value: Any, because: str) -> Reveal:
    """Show a result beside the prediction; before the prediction, a request to predict.

    Args:
        number: Lesson and letter, `"1.a"`.
        value: The result: an option, a number, or five numbers for a sketch.
        because: The reason, as the end of the sentence.

    Raises:
        Refusal: If there is no such prediction.
    """
    return Reveal(PREDICTIONS.get_or_refuse(number), value, because)


def as_text(value: Any) -> str:
    """Return a value of a prediction as text.

    Example:
        >>> as_text("QTHA"), as_text(0.25), as_text(6144.0), as_text([0, 0.5])
        ('QTHA', '0.25', '6,144', '0, 0.5')
    """
    if isinstance(value, str):
        return value
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence):
        return ", ".join(map(as_text, value))
    number = float(value)
    return f"{number:,.0f}" if number.is_integer() else f"{number:.3g}"


def text_bundle(text: str) -> dict[str, str]:
    """Return a sentence as HTML and as text."""
    edge = "border-left:4px solid var(--jp-info-color1,#767676);padding:4px 10px"
    page = f'<div role="status" style="{edge}">{html.escape(text)}</div>'
    return {"text/html": page, "text/plain": text}

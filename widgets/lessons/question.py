"""The panel of one prediction: buttons, a number field or a curve.

Shown by `qtha_lab.lessons.predict`. The answer is stored at once.
"""

from collections.abc import Callable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons.predictions import SKIP
from qtha_lab.lessons.questions import Question, as_text

from ..kit import controls, styles
from ..kit.display import Shown
from ..kit.guard import ErrorLine
from .sketch import SketchView


class QuestionPanel(Shown):
    """A question with its answer controls and "skip".

    Args:
        question: The prediction; its `answer` stores and shows results.
        answer: Answer so far; None without one.

    Example:
        >>> from qtha_lab.lessons.predictions import Prediction
        >>> panel = QuestionPanel(Question(Prediction("1.a", "How many?", ("8", "0"))))
        >>> [button.description for button in panel.buttons]
        ['8', '0', 'skip']
    """

    def __init__(self, question: Question, answer: Any = None):
        self.question, self.error = question, ErrorLine()
        self.status = controls.Announcer()
        self.message = styles.text("", "qtha-text")
        self.buttons: list[controls.Button] = []
        super().__init__()
        self.children = [
            styles.text(f"<p><b>{styles.lines([question.declared.question])}</b></p>"),
            *self._answer_controls(),
            self.message,
            self.error.panel,
            self.status,
        ]
        self.add_class("qtha-question")
        self._show(answer)

    def still(self) -> dict[str, str]:
        return {"text/plain": repr(self.question)}

    def take_answer(self, value: Any) -> None:
        """Store an answer, or show the reason why it cannot be stored."""
        self.error.show("")
        try:
            self.question.answer(value)
        except Refusal as reason:
            self.error.show(str(reason))
        else:
            self._show(self.question.declared.read(value))
            self.show_still()

    def _answer_controls(self) -> list[Any]:
        declared, skip = self.question.declared, self._button(SKIP, lambda: SKIP)
        if declared.options:
            options = [self._button(option, lambda o=option: o) for option in declared.options]
            self.buttons = [*options, skip]
            return [styles.row(*self.buttons)]
        if declared.sketch:
            sketch = SketchView(declared)
            self.buttons = [self._button("Keep this curve", lambda: list(sketch.values)), skip]
            return [sketch, styles.row(*self.buttons)]
        entry = controls.TextField(description="your number", continuous_update=True)
        self.buttons = [self._button("Keep", lambda: entry.value), skip]
        return [styles.row(entry, *self.buttons)]

    def _button(self, description: str, value: Callable[[], Any]) -> controls.Button:
        button = controls.Button(description, primary=description != SKIP)
        button.on_click(lambda _: self.take_answer(value()))
        return button

    def _show(self, answer: Any) -> None:
        if answer is None:
            return
        said = "Skipped." if answer == SKIP else f"You said {as_text(answer)}. It is kept."
        self.message.value = styles.lines([said])
        self.status.say(said)
        for button in self.buttons:
            button.disabled = True

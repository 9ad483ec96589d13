"""The box of one prediction: buttons, a text field or a curve of sliders.

Shown by `qtha_lab.lessons.predict`. The answer is stored at once.
"""

from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

from qtha_lab.core.errors import Refusal
from qtha_lab.lessons.predictions import SKIP, Prediction
from qtha_lab.lessons.questions import Question, as_text

from ..figures.figure_widget import CSS
from ..kit import boxes
from ..kit.static_output import StaticOutput

STEPS = 40  # of a slider between the limits


class QuestionPanel(StaticOutput, ipw.VBox):
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
        self.question, self.error = question, boxes.ErrorText()
        self.message = boxes.classed(boxes.text(), "qtha-message")
        self.buttons: list[ipw.Button] = []
        title = f"<style>{CSS}</style><b>{boxes.lines([question.declared.question])}</b>"
        parts = [
            boxes.text(title, "qtha-title"),
            *self._answer_controls(),
            self.message,
            self.error.panel,
        ]
        super().__init__(parts)
        boxes.classed(self, "qtha-page", "qtha-question")
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
            return [boxes.row(self.buttons)]
        if declared.sketch:
            curve = CurveSliders(declared)
            self.buttons = [self._button("Keep this curve", lambda: list(curve.values)), skip]
            return [curve, boxes.row(self.buttons)]
        entry = boxes.classed(ipw.Text(description="your number"), "qtha-setting")
        self.buttons = [self._button("Keep", lambda: entry.value), skip]
        return [boxes.row([entry, *self.buttons])]

    def _button(self, description: str, value: Callable[[], Any]) -> ipw.Button:
        style = "" if description == SKIP else "primary"
        button = boxes.button(description, button_style=style)
        button.on_click(lambda _: self.take_answer(value()))
        return button

    def _show(self, answer: Any) -> None:
        if answer is None:
            return
        kept = "Skipped." if answer == SKIP else f"You said {as_text(answer)}. It is kept."
        self.message.value = f'<span role="status">{boxes.lines([kept])}</span>'
        for button in self.buttons:
            button.disabled = True


class CurveSliders(ipw.HBox):
    """A curve of five points, each the height of an upright slider.

    Args:
        declared: Prediction with the places, labels and limits of the curve.

    Example:
        >>> declared = Prediction("1.a", "Draw it.", sketch=(1, 2, 4, 8, 16), limits=(0, 2))
        >>> curve = CurveSliders(declared)
        >>> curve.children[1].value = 1.5
        >>> curve.values
        [1.0, 1.5, 1.0, 1.0, 1.0]
    """

    def __init__(self, declared: Prediction):
        low, high = map(float, declared.limits)
        across, up = declared.labels
        super().__init__(
            [
                ipw.FloatSlider(
                    (low + high) / 2,
                    min=low,
                    max=high,
                    step=(high - low) / STEPS,
                    description=f"{across} {place:g}",
                    tooltip=f"{up} at {across} {place:g}",
                    orientation="vertical",
                    readout_format=".3g",
                )
                for place in declared.sketch
            ]
        )
        boxes.classed(self, "qtha-curve")

    @property
    def values(self) -> list[float]:
        """The heights of the curve."""
        return [slider.value for slider in self.children]

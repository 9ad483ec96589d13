"""Guarded callbacks of controls: an exception becomes a sentence on the panel.

Its traceback goes to a file. A `Refusal` keeps its own words; `qtha_lab.core.fault_log` words the
other exceptions.
"""

import functools
from collections.abc import Callable
from typing import Any

from qtha_lab.core import fault_log

from . import styles as styles

OnError = Callable[[Exception], None]


def guarded(answer: Callable[..., Any], on_error: OnError) -> Callable[..., None]:
    """Wrap a callback so that exceptions go to a handler instead of being raised.

    Example:
        >>> answer = guarded(lambda change: {}[change], lambda error: print(repr(error)))
        >>> answer("loss")
        KeyError('loss')
    """

    @functools.wraps(answer)
    def call(*arguments: Any) -> None:
        try:
            answer(*arguments)
        except Exception as error:
            on_error(error)

    return call


class ErrorLine:
    """A line of a panel with the error of the last callback, or nothing.

    Add `line.panel` to the panel, and connect controls through `line.guard`.

    Example:
        >>> from widgets.kit.controls import NumberField
        >>> from qtha_lab.core.settings import Setting
        >>> line, setting = ErrorLine(), Setting("r", int, 2, ge=1)
        >>> control = NumberField(2)
        >>> control.observe(line.guard(lambda change: setting.check(change["new"])), "value")
        >>> control.value = 0
        >>> line.text
        'r must be at least 1, got 0.'
    """

    def __init__(self):
        self.panel = styles.text(css="qtha-text")
        styles.mark_wrong(self.panel, True)
        self.show("")

    def guard(self, answer: Callable[..., Any]) -> Callable[..., None]:
        """Wrap a callback so that the error line shows its error, or is cleared."""

        def begin(*arguments: Any) -> None:
            self.show("")
            answer(*arguments)

        return guarded(begin, self.report)

    def report(self, error: Exception) -> None:
        """Show an exception as a sentence."""
        self.show(fault_log.fault_sentence(error))

    def show(self, sentence: str) -> None:
        """Show a sentence; an empty string hides the line."""
        self.text, self.panel.value = sentence, styles.lines([sentence])
        self.panel.visible = bool(sentence)

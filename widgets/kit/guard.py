"""Answers of controls, guarded: what goes wrong becomes a sentence on the panel, its traceback goes to a file.

Chooses no words: a refusal keeps its own, and `qtha_lab.core.fault_log` says the rest.
"""

import functools
from collections.abc import Callable
from typing import Any

from qtha_lab.core import fault_log as faults

from . import styles as styles

OnError = Callable[[Exception], None]


def guarded(answer: Callable[..., Any], on_error: OnError) -> Callable[..., None]:
    """The answer of a control that hands an exception on instead of raising it.

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
    """A line of a panel: what went wrong in the last answer of a control, or nothing.

    Put `line.panel` where it is to stand, and connect controls by `line.guard`.

    Example:
        >>> import ipywidgets as ipw
        >>> from qtha_lab.core.settings import Setting
        >>> line, setting = ErrorLine(), Setting("r", int, 2, ge=1)
        >>> control = ipw.IntText(2)
        >>> control.observe(line.guard(lambda change: setting.check(change["new"])), "value")
        >>> control.value = 0
        >>> line.text
        'r must be at least 1, not 0'
    """

    def __init__(self):
        self.panel = styles.text(css="qtha-text")
        styles.mark(self.panel, True)
        self.show("")

    def guard(self, answer: Callable[..., Any]) -> Callable[..., None]:
        """An answer that empties the line before it begins, and fills it if it fails."""

        def begin(*arguments: Any) -> None:
            self.show("")
            answer(*arguments)

        return guarded(begin, self.report)

    def report(self, error: Exception) -> None:
        """Show an exception as a sentence."""
        self.show(faults.sentence(error))

    def show(self, sentence: str) -> None:
        """Show a sentence, or with "" none."""
        self.text, self.panel.value = sentence, styles.lines([sentence])
        self.panel.layout.display = "" if sentence else "none"

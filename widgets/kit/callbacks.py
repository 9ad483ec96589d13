"""Guarded callbacks of controls: an exception goes to a handler, not to the console."""

import functools
from collections.abc import Callable
from typing import Any

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

"""Refusals: what a person asked for and cannot have, said in one sentence.

Whatever else is raised is a fault of ours, and is reported with its traceback.
"""


class Refusal(ValueError):  # noqa: N818  a refusal is no error of the program
    """A wrong input, found by one of our checks; its text is the rule and the value.

    Example:
        >>> raise Refusal("steps must be at least 1, not 0")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: steps must be at least 1, not 0
    """


class Unsupported(Refusal, NotImplementedError):  # noqa: N818  as above
    """A call that PEFT or torch knows and that this adapter or engine cannot answer; says what can."""


def message_of(error: BaseException, length: int = 160) -> str:
    """Return the message of an exception on one line; never raises.

    Args:
        error: Of foreign code, whose `__str__` may raise.
        length: Most characters.
    """
    try:
        message = " ".join(str(error).split())
    except BaseException as problem:
        message = f"its message raises {type(problem).__name__}"
    return message if len(message) <= length else f"{message[: length - 1]}…"


def described(error: BaseException) -> str:
    """Return an exception of foreign code as `Type: message` on one line; never raises.

    Example:
        >>> described(KeyError("a"))
        "KeyError: 'a'"
    """
    return f"{type(error).__name__}: {message_of(error)}"

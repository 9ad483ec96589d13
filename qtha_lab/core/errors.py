"""Errors for invalid user input, each with a message of one sentence.

Any other exception is a fault of the package and is reported with its traceback.
"""


class Refusal(ValueError):  # noqa: N818  a refusal is no error of the program
    """Invalid input, rejected by a check; the message states the rule and the value.

    Example:
        >>> raise Refusal("steps must be at least 1, got 0.")
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: steps must be at least 1, got 0.
    """


class Unsupported(Refusal, NotImplementedError):  # noqa: N818  as above
    """Call from PEFT or torch that an adapter or engine does not support.

    The message names what is supported.
    """


def message_of(error: BaseException, length: int = 160) -> str:
    """Return the message of an exception on one line; never raises.

    Args:
        error: Exception of foreign code, whose `__str__` may raise.
        length: Maximum number of characters.
    """
    try:
        message = " ".join(str(error).split())
    except BaseException as problem:
        message = f"its message raises {type_name(problem)}"
    return message if len(message) <= length else f"{message[: length - 1]}…"


def describe_error(error: BaseException) -> str:
    """Return an exception of foreign code as `Type: message` on one line.

    Never raises.

    Example:
        >>> describe_error(KeyError("a"))
        "KeyError: 'a'"
    """
    return f"{type_name(error)}: {message_of(error)}"


def type_name(value: object) -> str:
    """Return the name of the type of a foreign object; never raises.

    A metaclass may define `__name__` as code; here no attribute of the metaclass is read.
    """
    return type.__dict__["__name__"].__get__(type(value))

"""Errors for invalid user input, each with a message of one sentence.

Any other exception is a fault of the package and is reported with its traceback.
"""

import re


class Refusal(ValueError):  # noqa: N818  a refusal is no error of the program
    """Invalid input, rejected by a check.

    The first sentence of the message has one of three forms: `SETTING must RULE, got VALUE.`,
    `Unknown SETTING 'VALUE'` and a state (`SETTING cannot be read: VALUE.`, `No run is ticked.`).
    A remedy may follow. The fields are read from that sentence; a missing field is empty. The
    middle of a message with over 300 characters is left out.

    Example:
        >>> refusal = Refusal("steps must be at least 1, got 0. Choose more.")
        >>> refusal.setting, refusal.rule, refusal.value
        ('steps', 'must be at least 1', '0')
        >>> len(str(Refusal(f"name must be short, got {'a' * 1000}. Choose another.")))
        300
    """

    def __init__(self, message: object = "") -> None:
        text = str(message)
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST - _END_LENGTH - 1]}…{text[-_END_LENGTH:]}"
        super().__init__(text)

    @property
    def setting(self) -> str:
        """Rejected setting, file or object, with its place."""
        return self._field("setting")

    @property
    def rule(self) -> str:
        """Rule that is violated, or state."""
        return self._field("rule")

    @property
    def value(self) -> str:
        """Value that violates the rule."""
        return self._field("value")

    def _field(self, name: str) -> str:
        form = next(filter(None, (form.match(str(self)) for form in _FORMS)), None)
        return form.groupdict("")[name] if form else ""


_LONGEST, _END_LENGTH = 300, 100  # characters of a message, and of its end with the remedy
_END = r"(?:\.(?=\s+[^\sa-z]|$)|$)"
_FORMS = (
    re.compile(r"(?s)(?:.*?: )?(?P<rule>Unknown) (?P<setting>[^']+) (?P<value>'.*?')(?=[:. ]|$)"),
    re.compile(rf"(?s)(?P<setting>.+?) (?P<rule>must\b.+?)(?:, got:? (?P<value>.+?))?{_END}"),
    re.compile(
        r"(?s)(?P<setting>.+?) (?P<rule>(?:cannot|has|have|is|are)\b.+?)"
        rf"(?:(?:: | \()(?P<value>.+?)\)?)?{_END}"
    ),
)


class Unsupported(Refusal, NotImplementedError):  # noqa: N818  as above
    """Call from PEFT or torch that an adapter or engine does not support.

    The message names what is supported.
    """


def message_of(error: BaseException, length: int = 160) -> str:
    """Return the message of an exception on one line; never raises."""
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

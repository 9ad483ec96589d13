"""Pydantic models with one-sentence refusals that name field, rule and value.

Declares no experiment itself; `qtha_lab.experiment` builds on it.
"""

import math
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened
from qtha_lab.core.settings import settings_of, unknown
from qtha_lab.core.settings_help import with_arguments


class FieldError(Refusal):
    """Refusal of one field.

    `place` is the field's path in the outermost model, such as `training.steps`.
    """

    def __init__(self, sentence: str, place: str) -> None:
        super().__init__(sentence)
        self.place = place

    def inside(self, outer: str) -> "FieldError":
        """Return the refusal with the path of an outer field.

        A sentence that starts with the field's path gets the longer path.
        """
        if not outer:
            return self
        outer = shortened(outer)  # the name of a phase has any length
        named = self.place and str(self).startswith(self.place)  # a whole model has no place
        place = f"{outer}.{self.place}" if self.place else outer
        return FieldError(f"{outer}.{self}" if named else str(self), place)


def option(value: Any) -> Any:
    """Validate a plain value that YAML, Python and shell can all represent.

    Allowed are numbers, text, true, false, null, lists of these, and mappings of names to these.

    Raises:
        Refusal: If the value has another type, or is not finite.
    """
    if isinstance(value, list | tuple):
        if any(isinstance(item, list | tuple | dict) for item in value):
            raise Refusal("A list must hold plain values, got a list or mapping in it.")
        return [option(item) for item in value]
    if isinstance(value, dict):
        if any(isinstance(item, list | tuple | dict) for item in value.values()):
            raise Refusal("Values by name must be plain ones, got a list or mapping in them.")
        return {str(name): option(item) for name, item in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"The value must be a finite number, got {value}.")
    if value is not None and not isinstance(value, bool | int | float | str):
        raise Refusal(
            "The value must be a number, true, false, null, text, a list or values by name, "
            f"got {value!r:.60}."
        )
    return value


class Declared(BaseModel):
    """Immutable description that validates all its fields at creation.

    Example:
        >>> from pydantic import Field
        >>> class Box(Declared):
        ...     width: int = Field(default=1, ge=1)
        >>> Box(width=0)
        Traceback (most recent call last):
        qtha_lab.experiment.validated_model.FieldError: width must be at least 1, got 0.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        strict=True,
        use_attribute_docstrings=True,
    )

    def __init_subclass__(cls, *, init: bool = True, **options: Any) -> None:
        """Accept `init=False`, by which type checkers allow more arguments than the fields."""
        super().__init_subclass__(**options)

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__()
        with_arguments(cls)

    def __init__(self, /, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as refused:
            raise one_sentence(refused, type(self)) from None

    @classmethod
    def known_names(cls) -> set[str]:
        """Return the names that a description accepts, for a hint at the nearest."""
        return {*cls.model_fields, *settings_of(cls)}

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed."""
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**(fields | changes))


def one_sentence(errors: ValidationError, declared: type[Declared]) -> Refusal:
    """Convert the first pydantic error to a one-sentence refusal."""
    error = errors.errors(include_url=False)[0]
    place = _place(error["loc"])
    if error["type"] == "extra_forbidden":
        kind = f"{declared.__name__.lower()} setting"
        return FieldError(str(unknown(kind, place, declared.known_names())), place)
    if error["type"] == "missing":
        return FieldError(f"{place} must be given.", place)
    if error["type"] == "value_error":
        inner = error.get("ctx", {}).get("error")
        if isinstance(inner, FieldError):
            return inner.inside(place)
        bare = not place or str(inner).startswith("Unknown")
        return FieldError(str(inner) if bare else f"{place}: {inner}", place)
    return FieldError(f"{place} must be {_rule(error)}, got {error['input']!r:.60}.", place)


def _place(location: tuple) -> str:
    """Format a location: `("methods", 0, "name")` becomes `methods[0].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in location)
    return " ".join("".join(parts).removeprefix(".").split())  # a key may contain a line break


def _rule(error: ErrorDetails) -> str:
    limits = {k: f"{v:g}" if isinstance(v, float) else v for k, v in error.get("ctx", {}).items()}
    rules = {
        "greater_than_equal": "at least {ge}",
        "greater_than": "above {gt}",
        "less_than_equal": "at most {le}",
        "less_than": "below {lt}",
        "literal_error": "one of {expected}",
        "too_short": "at least {min_length} long",
        "string_too_short": "at least {min_length} characters long",
        "string_too_long": "at most {max_length} characters long",
        "finite_number": "a finite number",
    }
    if error["type"] in rules:
        return rules[error["type"]].format(**limits)
    kinds = {"int": "a whole number", "float": "a number", "bool": "true or false"}
    kinds |= {"string": "text", "list": "a list", "dict": "a mapping", "model": "a mapping"}
    return kinds.get(error["type"].split("_")[0], error["msg"].removeprefix("Input should be "))

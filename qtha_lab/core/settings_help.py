"""Help text of a settings class, generated from its declaration.

`QthaConfig?` and `help(Training)` show every setting with type, limits and default. The meaning of
a setting is declared with it (`settings.setting`, or the description of a pydantic field).
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Collection
from typing import Any, TypeVar

from qtha_lab.core.settings import Setting, settings_of

Declaration = TypeVar("Declaration", bound=type)


def with_arguments(declared: Declaration, without: Collection[str] = ()) -> Declaration:
    """Add an Args section to the docstring of a settings class; use as a decorator.

    The class is a dataclass or a pydantic model. An existing Args section stays.

    Args:
        declared: Class; a decorated subclass shows inherited settings too.
        without: Settings to omit, which users do not set.

    Returns:
        The same class.

    Example:
        >>> from dataclasses import dataclass
        >>> from qtha_lab.core.settings import setting
        >>> @with_arguments
        ... @dataclass
        ... class Box:
        ...     '''A box.'''
        ...     width: int = setting(1, "Inner width.", ge=1, unit="mm")
        >>> print(Box.__doc__)
        A box.
        <BLANKLINE>
        Args:
            width (int, at least 1, in mm, default 1): Inner width.
    """
    text = inspect.cleandoc(declared.__dict__.get("__doc__") or "")
    if "\nArgs:\n" not in text:
        lines = [f"    {line}" for line in argument_lines(declared, without)]
        declared.__doc__ = "\n".join([text, "", "Args:", *lines] if lines else [text])
    return declared


def argument_lines(declared: type, without: Collection[str] = ()) -> list[str]:
    """Return one line per setting: `name (type, limits, unit, default): meaning`."""
    hints = _hints(declared)
    settings = settings_of(declared).items()
    return [
        f"{name} ({', '.join(_facts(setting, _hint(setting, hints)))}): {setting.help}".rstrip(": ")
        for name, setting in settings
        if name not in without
    ]


def _hint(setting: Setting, hints: dict[str, Any]) -> Any:
    """Return the annotation of a setting; its type within a group."""
    if setting.name in hints:
        return str if setting.choices else hints[setting.name]
    return setting.type | None if setting.optional else setting.type


def _facts(setting: Setting, hint: Any) -> list[str]:
    facts = [_choices(setting.choices) or _type(hint)]
    if setting.choices and setting.optional:
        facts[0] += " or None"
    limits = {"at least": setting.ge, "above": setting.gt, "at most": setting.le}
    facts += [f"{words} {_number(limit)}" for words, limit in limits.items() if limit is not None]
    if setting.unit:
        facts.append(f"in {setting.unit}")
    return [*facts, f"default {_value(setting.default)}"]


def _number(limit: float) -> str:
    return str(limit) if isinstance(limit, int) else f"{limit:g}"


def _choices(choices: Collection) -> str:
    """Return the choices as text; for a registry, the kind of its members."""
    if kind := getattr(choices, "kind", ""):
        return f"name of an {kind}" if kind[0] in "aeiou" else f"name of a {kind}"
    *others, last = [_value(choice) for choice in choices] or [""]
    return f"{', '.join(others)} or {last}" if others else last


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    label = getattr(value, "label", None)  # written as a user would write it
    if label is not None or not hasattr(type(value), "model_fields"):
        return repr(value if label is None else label)
    return f"{type(value).__name__}()"


def _hints(declared: type) -> dict[str, Any]:
    if hasattr(declared, "model_fields"):
        fields = getattr(declared, "model_fields")  # noqa: B009
        return {name: field.annotation for name, field in fields.items()}
    hints = typing.get_type_hints(declared)
    return {field.name: hints[field.name] for field in dataclasses.fields(declared)}


def _type(hint: Any) -> str:
    """Return an annotation as text: `list[str] | None` as `list[str] or None`."""
    if typing.get_origin(hint) is typing.Annotated:
        return _type(typing.get_args(hint)[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(_type, typing.get_args(hint))))
    if hint is type(None):
        return "None"
    if arguments := typing.get_args(hint):
        inner = ", ".join("..." if argument is ... else _type(argument) for argument in arguments)
        return f"{typing.get_origin(hint).__name__}[{inner}]"
    return getattr(hint, "__name__", None) or str(hint).removeprefix("typing.")

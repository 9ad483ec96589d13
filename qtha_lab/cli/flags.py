"""Command-line flags made from declared settings, so that no limit or help is written twice."""

import inspect
import re
from collections.abc import Callable, Iterable
from typing import Annotated, Any

import typer

from qtha_lab.settings import Setting, settings_of

PLAIN = (int, float, str, bool)


def option(declared: Setting, panel: str) -> Any:
    """The annotation of one flag; every flag is optional, so that a file can say it instead."""
    help = declared.help + (f" ({declared.unit})" if declared.unit else "")
    if declared.default is not None:
        help += f" Default: {declared.default}."
    if declared.choices:
        help += f" One of: {', '.join(map(str, declared.choices))}."
    flag = "--" + declared.name.replace("_", "-")
    names = f"{flag}/--no-{flag.removeprefix('--')}" if declared.type is bool else flag
    return Annotated[declared.type | None, typer.Option(names, help=help, rich_help_panel=panel)]


def with_flags(*sources: tuple[type, str]) -> Callable:
    """Give a command one flag for every plain setting of the models named.

    The command receives them as one dictionary, `given`, of those that were typed.

    Args:
        sources: (declaring model, heading in --help) pairs.
    """
    declared = {
        name: option(found, panel)
        for model, panel in sources
        for name, found in settings_of(model).items()
        if found.type in PLAIN
    }

    def decorate(command: Callable) -> Callable:
        own = [p for p in inspect.signature(command).parameters.values() if p.name != "given"]
        taken = {p.name for p in own}
        flags = {name: kind for name, kind in declared.items() if name not in taken}

        def run(**values: Any) -> Any:
            given = {k: v for k in flags if (v := values.pop(k)) is not None}
            return command(**values, given=given)

        made = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in flags.items()
        ]
        own = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        run.__signature__ = inspect.Signature([*own, *made])
        run.__annotations__ = {p.name: p.annotation for p in [*own, *made]}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def split_outside_brackets(text: str) -> list[str]:
    """Split at commas that stand in no bracket.

    Example:
        >>> split_outside_brackets("lora, qtha(r=4,waist=16)")
        ['lora', 'qtha(r=4,waist=16)']
    """
    parts = re.split(r",(?![^(\[]*[)\]])", text)
    return [part.strip() for part in parts if part.strip()]


def whole_numbers(text: str, name: str) -> list[int]:
    """The whole numbers of a list such as `0,1,2`, without repetition.

    Example:
        >>> whole_numbers("0,1,1", "seeds")
        Traceback (most recent call last):
        ValueError: seeds must differ from one another, not 0,1,1
    """
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ValueError(f"{name} must be whole numbers such as 0,1,2, not {text!r}") from None
    if not numbers:
        raise ValueError(f"{name} must be at least one whole number, not {text!r}")
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"{name} must differ from one another, not {text}")
    return numbers


def divide(given: dict[str, Any], models: Iterable[type]) -> list[dict[str, Any]]:
    """Sort what was typed by the model that declares it, one dictionary a model."""
    return [{k: v for k, v in given.items() if k in settings_of(model)} for model in models]

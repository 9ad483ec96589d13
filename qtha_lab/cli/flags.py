"""Command-line flags from declared settings, so that limits and help are written once.

The text of a flag goes to the model that declares the setting; that model reports errors.
"""

import dataclasses
import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

from qtha_lab.core import call_syntax
from qtha_lab.core.settings import Setting, settings_of
from qtha_lab.experiment.serialisation import SEVERAL

METAVAR = {int: "N", float: "NUMBER", str: "TEXT", dict: "NAME=VALUE,…", list: "LIST"}


def option(declared: Setting, panel: str) -> Any:
    """Return the annotation of one flag.

    Every flag is optional, so that a file can set the value instead.
    """
    help = declared.help + (f" Unit: {declared.unit}." if declared.unit else "")
    if declared.choices:
        help += f" One of: {', '.join(map(str, declared.choices))}."
    if default := _default_text(declared.default):
        help += f" Default: {default}."
    flag = "--" + declared.name.replace("_", "-")
    if declared.type is bool:
        names = f"{flag}/--no-{flag.removeprefix('--')}"
        return Annotated[bool | None, typer.Option(names, help=help, rich_help_panel=panel)]
    metavar = METAVAR.get(declared.type, "NAME(OPTION=VALUE,…)")
    short = declared.type is list and declared.name not in SEVERAL
    names = [flag, flag.removesuffix("s")] if short else [flag]
    option_type = typer.Option(*names, help=help, metavar=metavar, rich_help_panel=panel)
    return Annotated[str | None, option_type]


def _default_text(default: Any) -> str:
    """Return a default as it is typed; "" for an empty default."""
    if isinstance(default, list):
        return ",".join(map(_default_text, default))
    return "" if default in (None, {}) else getattr(default, "label", str(default))


def with_flags(*sources: tuple[type, str], **parts: tuple[type, str]) -> Callable:
    """Add one flag per setting of the named models to a command.

    The command receives the typed values as one dictionary, `flags`. A parameter of the command
    itself replaces the flag of that name. A setting that is itself a model (the training of an
    experiment) has no flag, because its own settings have flags.
    """
    declared: dict[str, tuple[Setting, str]] = {}
    for model, panel in sources:
        for name, setting in settings_of(model).items():
            if not hasattr(setting.type, "model_fields") or name == "method":
                flag = f"training_{name}" if name in declared else name
                declared[flag] = dataclasses.replace(setting, name=flag), panel
    for part, (model, panel) in parts.items():
        for name, setting in settings_of(model).items():
            flag = f"{part}_{name}"
            declared[flag] = dataclasses.replace(setting, name=flag), panel

    def decorate(command: Callable) -> Callable:
        parameters = [
            p for p in inspect.signature(command).parameters.values() if p.name != "flags"
        ]
        flags = {n: d for n, d in declared.items() if n not in {p.name for p in parameters}}

        def run(**values: Any) -> Any:
            typed = {n: v for n in flags if (v := values.pop(n)) is not None}
            return command(**values, flags={n: _read(flags[n][0], v) for n, v in typed.items()})

        flag_parameters = [
            inspect.Parameter(
                n, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=option(*d)
            )
            for n, d in flags.items()
        ]
        parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in parameters]
        run.__signature__ = inspect.Signature([*parameters, *flag_parameters])
        run.__annotations__ = {p.name: p.annotation for p in [*parameters, *flag_parameters]}
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _read(declared: Setting, value: Any) -> Any:
    """Convert a flag's text for the declaring model; `null` clears an optional setting."""
    if declared.type is dict:
        return call_syntax.parse_options(value)
    if declared.name == "plugins":
        return call_syntax.split_list(value)
    if declared.name in SEVERAL:
        return call_syntax.split_list(value)
    if declared.name in ("seeds", "learning_rates", "tuning_seeds"):
        return [call_syntax.read_value(number) for number in call_syntax.split_list(value)]
    if declared.type in (int, float) and value not in ("null", "all"):
        return call_syntax.read_value(value)
    return None if declared.optional and value in ("null", "all") else value


def combine(
    file_fields: dict[str, Any],
    flags: dict[str, Any],
    training: type,
    *parts: str,
    own: Collection[str] = (),
) -> dict[str, Any]:
    """Merge typed flags into a file's fields, with training settings in their own mapping.

    Example:
        >>> from qtha_lab.experiment import Training
        >>> combine({"task": "qa", "training": {"steps": 5}}, {"steps": 7, "seed": 1}, Training)
        {'task': 'qa', 'training': {'steps': 7}, 'seed': 1}
    """
    named = {name: f"training_{name}" if name in own else name for name in settings_of(training)}
    inside = {name: flags[flag] for name, flag in named.items() if flag in flags}
    outside = {k: v for k, v in flags.items() if k not in named.values()}
    file_fields = dict(file_fields)
    for several, single in SEVERAL.items():  # a typed flag replaces its plural or singular form
        if outside.keys() & {several, single}:
            file_fields.pop(several, None)
            file_fields.pop(single, None)
    for part in parts:
        typed = {k: outside.pop(k) for k in list(outside) if k.startswith(f"{part}_")}
        if typed:
            within = {k.removeprefix(f"{part}_"): v for k, v in typed.items()}
            file_fields[part] = {**(file_fields.get(part) or {}), **within}
    return {**file_fields, **outside, "training": {**file_fields.get("training", {}), **inside}}


def fields_of(described: Any | None) -> dict[str, Any]:
    """Return the fields of a description in a file; {} without a file."""
    return described.model_dump(exclude_defaults=True) if described is not None else {}

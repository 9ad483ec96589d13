"""Declarations of settings, used by checks, forms, flags and tables.

Reads dataclasses (PEFT configs and those of this package) and pydantic models.
`widgets.workbench.form` draws forms and `qtha_lab.cli` parses command lines.
pydantic cannot declare the configs of PEFT, which are dataclasses.
"""

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Iterable
from typing import Any

from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import shortened

LONGEST_NAME = 80  # characters of an unknown name that are compared with known names
LONGEST_LIST = 160  # characters of a list of known names
DECLARED = ("ge", "gt", "le", "common", "with_options", "auto")


@dataclasses.dataclass(frozen=True)
class Setting:
    """Declaration of a setting: type, limits, choices, default and help."""

    name: str
    type: type
    default: Any
    help: str = ""
    unit: str = ""
    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    choices: Collection = ()
    optional: bool = False
    common: bool = False  # shown among the most common settings
    with_options: bool = False  # a choice may have options, as name(option=value)
    auto: bool = False  # None may be written "auto": the value is chosen for the model
    section: str = ""  # heading in forms and pages

    def check(self, value: Any) -> None:
        """Refuse a value outside the declaration.

        Raises:
            Refusal: With the rule and the value.

        Example:
            >>> Setting("r", int, 8, ge=2).check(1)
            Traceback (most recent call last):
            qtha_lab.core.errors.Refusal: r must be at least 2, got 1.
        """
        if value is None or (self.auto and value == "auto"):
            if not self.optional:
                raise Refusal(f"{self.name} must be set, got None.")
            return
        if self.choices:
            name = value.partition("(")[0] if self._has_options(value) else value
            if name not in self.choices:
                raise Refusal(
                    f"{self.name} must be one of {', '.join(map(str, self.choices))}, got "
                    f"{shortened(repr(value))}{self._nearest(value)}"
                )
            return
        if not self._type_fits(value):
            raise Refusal(
                f"{self.name} must be {_article(self.type)}, got {shortened(repr(value))}."
            )
        if self.type in (int, float):
            self._check_limits(value)

    def _nearest(self, value: Any) -> str:
        return _hint(value, map(str, self.choices)) if isinstance(value, str) else "."

    def _has_options(self, value: Any) -> bool:
        return self.with_options and isinstance(value, str) and value.endswith(")")

    def _type_fits(self, value: Any) -> bool:
        if self.type in (int, float):
            number = int if self.type is int else (int, float)
            return isinstance(value, number) and not isinstance(value, bool)
        return self.type not in (bool, str) or isinstance(value, self.type)

    def _check_limits(self, value: float) -> None:
        if self.type is float and value != value:
            raise Refusal(f"{self.name} must be a number, got nan.")
        if self.ge is not None and value < self.ge:
            raise Refusal(f"{self.name} must be at least {self.ge}, got {shortened(value)}.")
        if self.gt is not None and value <= self.gt:
            raise Refusal(f"{self.name} must be above {self.gt}, got {shortened(value)}.")
        if self.le is not None and value > self.le:
            raise Refusal(f"{self.name} must be at most {self.le}, got {shortened(value)}.")


def setting(
    default: Any,
    help: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    choices: Collection = (),
    unit: str = "",
    common: bool = False,
    with_options: bool = False,
    auto: bool = False,
) -> Any:
    """Declare a setting of a dataclass.

    Args:
        default: Default value; None makes it optional. A list, dict or set is copied.
        help: Meaning, in a sentence.
        ge: Inclusive lower limit.
        gt: Exclusive lower limit.
        le: Inclusive upper limit.
        choices: Allowed values, read at each check, so a registry may grow after the declaration.
        unit: Unit of the number, such as `"seconds"`.
        common: Show it among the most common settings.
        with_options: Allow options behind a choice, `name(option=value)`; the reader of the value
            checks them.
        auto: Allow "auto" for the default None; the value is then chosen for the model.

    Returns:
        A dataclass field, typed as Any so that `r: int = setting(8, …)` is no type error.

    Example:
        >>> @dataclasses.dataclass
        ... class Config:
        ...     r: int = setting(8, "Bottleneck size.", ge=1)
        >>> settings_of(Config)["r"].check(0)
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: r must be at least 1, got 0.
    """
    metadata = {
        "help": help,
        "ge": ge,
        "gt": gt,
        "le": le,
        "choices": choices,
        "unit": unit,
        "common": common,
        "with_options": with_options,
        "auto": auto,
    }
    if isinstance(default, (list, dict, set)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def settings_of(declared: type) -> dict[str, Setting]:
    """Return every setting of a dataclass or pydantic model by name, in declared order.

    A class method `declared_settings` takes precedence.
    """
    if declare := getattr(declared, "declared_settings", None):
        return declare()
    models: dict[str, Any] | None = getattr(declared, "model_fields", None)
    if models is not None:
        return {name: setting_of_field(name, field) for name, field in models.items()}
    hints = typing.get_type_hints(declared)
    fields = [f for f in dataclasses.fields(declared) if f.init]
    return {f.name: _from_dataclass(f, hints[f.name]) for f in fields}


def check_settings(config: Any) -> None:
    """Check every setting of a dataclass instance with `Setting.check`."""
    for name, declared in settings_of(type(config)).items():
        declared.check(getattr(config, name))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the known name closest in spelling; None if no name is close enough."""
    matches = difflib.get_close_matches(name[:LONGEST_NAME].lower(), list(names), n=1, cutoff=0.5)
    return matches[0] if matches else None


def unknown(kind: str, name: str, names: Iterable[str]) -> Refusal:
    """Return the refusal of an unknown name, to be raised.

    Args:
        kind: Kind of the name, such as `"method"`.
        name: Unknown name.
        names: Known names; the nearest in spelling is proposed.

    Returns:
        The refusal; nothing is raised.

    Example:
        >>> raise unknown("method", "qhta", ["lora", "qtha"])
        Traceback (most recent call last):
        qtha_lab.core.errors.Refusal: Unknown method 'qhta': did you mean 'qtha'? Known: lora, qtha
    """
    sorted_names = sorted(names)
    return Refusal(
        f"Unknown {kind} {shortened(name)!r}{_hint(name, sorted_names)} Known: "
        f"{shortened(', '.join(sorted_names) or 'none', LONGEST_LIST)}"
    )


def _hint(name: str, names: Iterable[str]) -> str:
    close = nearest(name, names)
    return f": did you mean {close!r}?" if close else "."


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "text"}.get(
        kind, f"a {getattr(kind, '__name__', kind)}"
    )


def _plain_type(hint: Any) -> tuple[type, bool, tuple]:
    """Return the plain type of an annotation, its optionality and its literal choices."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        members = typing.get_args(hint)
        optional = type(None) in members
        plain = [m for m in members if m is not type(None)]
        kind, _, choices = _plain_type(plain[0])
        return kind, optional, choices
    if typing.get_origin(hint) is typing.Literal:
        choices = typing.get_args(hint)
        return type(choices[0]), False, choices
    origin = typing.get_origin(hint) or hint
    return (origin if isinstance(origin, type) else object), False, ()


def _from_dataclass(field: dataclasses.Field, hint: Any) -> Setting:
    kind, optional, choices = _plain_type(hint)
    default = field.default
    if default is dataclasses.MISSING:
        factory = field.default_factory
        default = None if factory is dataclasses.MISSING else factory()
    metadata = field.metadata
    declared_values = {key: metadata[key] for key in DECLARED if key in metadata}
    help = " ".join(metadata.get("help", "").split())
    return Setting(
        field.name,
        kind,
        default,
        help,
        metadata.get("unit") or "",
        choices=metadata.get("choices") or choices,
        optional=optional or default is None,
        **declared_values,
    )


def setting_of_field(name: str, field: Any) -> Setting:
    """Return the declaration of a pydantic field."""
    kind, optional, choices = _plain_type(field.annotation)
    limits = {
        key: getattr(rule, key)
        for rule in field.metadata
        for key in ("ge", "gt", "le")
        if getattr(rule, key, None) is not None
    }
    extra = field.json_schema_extra or {}
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return Setting(
        name,
        kind,
        default,
        " ".join((field.description or "").split()),
        extra.get("unit", ""),
        choices=choices,
        optional=optional,
        common=extra.get("common", False),
        section=extra.get("section", ""),
        **limits,
    )

"""One description in three more tongues: YAML, Python and a shell command.

Knows the shape of a description only through its declared fields; checks no values.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from qtha_lab.calls import write_options, write_value
from qtha_lab.errors import Refusal
from qtha_lab.experiment import strict_yaml

LONGEST = 2**20  # bytes of a description
COMMANDS = {"Experiment": "run", "Comparison": "compare"}


class _Dumper(yaml.SafeDumper):
    """Writes what YAML 1.1 and 1.2 read alike: `1.0e-05` as a number, the text `1e-3` in quotation marks."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _float)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", strict_yaml.FLOAT, list("-+.0123456789"))


def to_yaml(described: BaseModel) -> str:
    """The description without what is at its default, in the order declared."""
    return yaml.dump(_thin(described), Dumper=_Dumper, sort_keys=False)


def _thin(value: Any) -> Any:
    if isinstance(value, list):
        return [_thin(one) for one in value]
    if isinstance(value, BaseModel):
        return {name: _thin(getattr(value, name)) for name in _worth_saying(value)}
    return value


def _worth_saying(described: BaseModel) -> list[str]:
    """The fields not at their default, and always the model, the task and the method."""
    differing = described.model_dump(exclude_defaults=True)
    always = ("model", "task", "method", "methods") if hasattr(described, "model") else ("name",)
    return [n for n in type(described).model_fields if n in differing or n in always]


def read_yaml(described: type[BaseModel], source: str | Path) -> BaseModel:
    """The description in a YAML text, or in the file at a path.

    Raises:
        Refusal: Naming the file and the line, if it is no mapping or a field is wrong.
    """
    path = _as_path(source)
    text = source if path is None else _text_of(path)
    try:
        return _made(described, *strict_yaml.read(text))
    except Refusal as refused:
        if path is None:
            raise
        comma = "," if str(refused).startswith("line ") else ":"
        raise Refusal(f"{path}{comma} {refused}") from None


def _made(described: type[BaseModel], fields: Any, lines: dict[str, int]) -> BaseModel:
    """The description of these fields; a refusal begins with the line of the field."""
    try:
        if not isinstance(fields, dict):
            raise Refusal(f"a description must be a mapping of settings, not {fields!r:.60}")
        return described(**fields)
    except Refusal as refused:
        line = lines.get(getattr(refused, "place", ""))
        raise Refusal(f"line {line}: {refused}" if line else str(refused)) from None


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
        if len(content) > LONGEST:
            raise Refusal(
                f"{path} is longer than {LONGEST // 2**20} MiB: it is no description of a run"
            )
        return content.decode("utf-8-sig")
    except OSError as refused:
        raise Refusal(f"{path} cannot be read: {refused.strerror}") from None
    except UnicodeDecodeError as refused:
        line = content.count(b"\n", 0, refused.start) + 1
        raise Refusal(f"{path}, line {line}: not UTF-8; save it as UTF-8") from None


def _as_path(source: str | Path) -> Path | None:
    if isinstance(source, Path):
        return source
    one_line = "\n" not in source and ":" not in source
    return Path(source) if one_line else None


def to_python(described: BaseModel) -> str:
    """The code that makes the description and starts it."""
    made = _code(described)
    used = [n for n in ("Comparison", "Experiment", "MethodChoice", "Training") if f"{n}(" in made]
    if type(described).__name__ == "Comparison":
        used, start = [*used, "compare"], 'summary = compare.run(comparison, out="comparison")'
    else:
        used, start = [*used, "launch"], "run = launch(experiment)"
    variable = type(described).__name__.lower()
    return f"from qtha_lab import {', '.join(used)}\n\n{variable} = {made}\n{start}\n"


def _code(value: Any, indent: str = "") -> str:
    """A constructor call; one line a field where there is something to break."""
    deeper = indent + "    "
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        lines = [f"{deeper}{_code(one, deeper)},\n" for one in value]
        return f"[\n{''.join(lines)}{indent}]"
    if not isinstance(value, BaseModel):
        return repr(value)
    parts = [f"{n}={_code(getattr(value, n), deeper)}" for n in _worth_saying(value)]
    if "model" in type(value).model_fields:
        parts = [f"\n{deeper}{part}" for part in parts]
        return f"{type(value).__name__}({','.join(parts)},\n{indent})"
    return f"{type(value).__name__}({', '.join(parts)})"


def to_command(described: BaseModel) -> str:
    """The command with a flag for every setting that is not at its default."""
    words = ["qtha-lab", COMMANDS[type(described).__name__]]
    for name, value in _flags(described).items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, value if isinstance(value, str) else _flag_text(name, value)]
    return shlex.join(words)


def _flags(described: BaseModel) -> dict[str, Any]:
    set_apart = described.model_dump(exclude_defaults=True)
    flags = {name: getattr(described, name) for name in set_apart if name != "training"}
    if "training" in set_apart:
        training = described.training
        flags |= {name: getattr(training, name) for name in set_apart["training"]}
    return flags


def _flag_text(name: str, value: Any) -> str:
    if name == "method":
        return value.label
    if name == "methods":
        return ",".join(one.label for one in value)
    if isinstance(value, dict):
        return write_options(value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return write_value(value)

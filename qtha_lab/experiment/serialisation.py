"""Conversion of a description to YAML, Python code, a shell command and a notebook.

Depends only on the declared fields of a description; checks no values.

Needs no Jupyter package, so a comparison on a cluster can write its notebook. nbformat comes with
the extra `lab` only.
"""

from __future__ import annotations

import json
import logging
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel

from qtha_lab.core.call_syntax import write_options, write_value
from qtha_lab.core.errors import Refusal
from qtha_lab.core.io import parse_yaml, read_bytes
from qtha_lab.core.io.strict_yaml import FLOAT

log = logging.getLogger(__name__)


Description = TypeVar("Description", bound=BaseModel)
LONGEST = 2**20  # maximum bytes of a description
SEVERAL = {
    "models": "model",
    "tasks": "task",
}  # if several are set, the first one is not repeated
COMMANDS = {
    "Experiment": "run",
    "Comparison": "compare",
    "Sweep": "sweep",
    "Federation": "federate",
}
DESCRIPTIONS = (
    "Comparison",
    "Experiment",
    "Federation",
    "MethodChoice",
    "Sweep",
    "Training",
    "Tuning",
)


class _Dumper(yaml.SafeDumper):
    """YAML writer for values that YAML 1.1 and 1.2 read alike.

    Writes `1.0e-05` as a number, and the text `1e-3` in quotation marks.
    """

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.Node:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _float)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, list("-+.0123456789"))


def to_yaml(description: BaseModel) -> str:
    """Convert a description to YAML in declared order, without default values."""
    return yaml.dump(thin(description), Dumper=_Dumper, sort_keys=False)


def thin(value: Any) -> Any:
    """Convert a description to plain values without default values."""
    if isinstance(value, list):
        return [thin(item) for item in value]
    if isinstance(value, BaseModel):
        return {name: thin(inner) for name, inner in _values_to_write(value).items()}
    return value


def _values_to_write(description: BaseModel) -> dict[str, Any]:
    if hasattr(description, "declared_settings"):  # grouped settings are written by flat names
        return description.model_dump(exclude_defaults=True)
    return {name: getattr(description, name) for name in _fields_to_write(description)}


def _fields_to_write(description: BaseModel) -> list[str]:
    """Select the fields to write: those with non-default values, and required ones.

    Model or models, task or tasks, the method and the seeds of a tuning are always written.
    """
    differing = description.model_dump(exclude_defaults=True)
    always = {"model", "task", "method", "methods"}
    if not hasattr(description, "model"):  # of a tuning
        always = {"name", "seeds"}
    always |= {"axes"} if "axes" in type(description).model_fields else set()
    names = {single for several, single in SEVERAL.items() if several in differing}
    return [n for n in _in_order(description) if (n in differing or n in always) and n not in names]


def _in_order(description: BaseModel) -> list[str]:
    """Return the fields in declared order, with `models` and `tasks` before `model` and `task`."""
    fields = [name for name in type(description).model_fields if name not in SEVERAL]
    for several, one in SEVERAL.items():
        if several in type(description).model_fields:
            fields.insert(fields.index(one), several)
    return fields


def read_yaml(
    description: type[Description], source: str | Path, *, links: bool = True
) -> Description:
    """Parse a description from YAML text, or from the file at a path.

    Raises:
        Refusal: If it is not a mapping or a field is wrong; names the file and line.
    """
    path = _as_path(source)
    text = str(source) if path is None else _text_of(path, links)
    try:
        return _description_of(description, *parse_yaml(text))
    except Refusal as refused:
        if path is None:
            raise
        sentence = re.sub("^Line ", "line ", str(refused))
        comma = "," if sentence.startswith("line ") else ":"
        raise Refusal(f"{path}{comma} {sentence}") from None


def _description_of(
    description: type[Description], fields: Any, lines: dict[str, int]
) -> Description:
    """Create a description from fields; a refusal starts with the line of the field."""
    try:
        if not isinstance(fields, dict):
            raise Refusal(f"A description must be a mapping of settings, got {fields!r:.60}.")
        training = fields.get("training")
        if isinstance(training, dict) and training.pop("processes", None):  # of version 0.3
            log.warning("processes is ignored: torchrun sets the number of processes of a run")
        return description(**fields)
    except Refusal as refused:
        place = getattr(refused, "place", "")
        line = lines.get(place) or lines.get(place.removeprefix("training."))
        raise Refusal(f"Line {line}: {refused}" if line else str(refused)) from None


def _text_of(path: Path, links: bool) -> str:
    try:
        content = read_bytes(path, LONGEST, links=links)
    except FileNotFoundError:
        raise Refusal(f"{path} cannot be read: no such file or directory.") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as refused:
        line = content.count(b"\n", 0, refused.start) + 1
        raise Refusal(
            f"{path}, line {line}: the text must be UTF-8, got other bytes. Save it as UTF-8."
        ) from None


def _as_path(source: str | Path) -> Path | None:
    if isinstance(source, Path):
        return source
    one_line = "\n" not in source and ":" not in source
    return Path(source) if one_line else None


def to_python(description: BaseModel) -> str:
    """Generate the Python code that creates and starts a description."""
    code = _code(description)
    imported = [n for n in DESCRIPTIONS if f"{n}(" in code]
    if type(description).__name__ == "Comparison":
        imported, start = (
            [*imported, "compare"],
            'summary = compare.run(comparison, out="comparison")',
        )
    elif type(description).__name__ == "Federation":
        imported, start = (
            [*imported, "federate"],
            'summary = federate(federation, out="federation")',
        )
    else:
        imported, start = [*imported, "launch"], "run = launch(experiment)"
        if type(description).__name__ == "Sweep":
            start = "trials = launch(sweep)"
    variable = type(description).__name__.lower()
    return f"from qtha_lab import {', '.join(imported)}\n\n{variable} = {code}\n{start}\n"


def _code(value: Any, indent: str = "") -> str:
    """Generate a constructor call, with one line per field for long descriptions."""
    deeper = indent + "    "
    if isinstance(value, list) and value and isinstance(value[0], BaseModel):
        lines = [f"{deeper}{_code(item, deeper)},\n" for item in value]
        return f"[\n{''.join(lines)}{indent}]"
    if not isinstance(value, BaseModel):
        return repr(value)
    parts = [f"{n}={_code(inner, deeper)}" for n, inner in _values_to_write(value).items()]
    if "model" in type(value).model_fields:
        parts = [f"\n{deeper}{part}" for part in parts]
        return f"{type(value).__name__}({','.join(parts)},\n{indent})"
    return f"{type(value).__name__}({', '.join(parts)})"


def to_command(description: BaseModel) -> str:
    """Generate the command with a flag for every non-default setting."""
    words = ["qtha-lab", COMMANDS[type(description).__name__]]
    for name, value in _flags(description).items():
        flag = "--" + name.replace("_", "-")
        if isinstance(value, bool):
            words.append(flag if value else flag.replace("--", "--no-", 1))
        else:
            words += [flag, value if isinstance(value, str) else _flag_text(name, value)]
    return shlex.join(words)


def _flags(description: BaseModel) -> dict[str, Any]:
    set_apart = description.model_dump(exclude_defaults=True)
    values = dict(description)
    names = {single for several, single in SEVERAL.items() if several in set_apart}
    flags = {n: values[n] for n in set_apart if n not in ("training", "tuning", *names)}
    if "training" in set_apart:
        own = type(description).model_fields
        flags |= {
            f"training_{name}" if name in own else name: value
            for name, value in set_apart["training"].items()
        }
    if "tuning" in set_apart:
        tuning = dict(values["tuning"])
        flags |= {f"tuning_{name}": tuning[name] for name in _fields_to_write(values["tuning"])}
    return flags


def _flag_text(name: str, value: Any) -> str:
    if name == "method":
        return value.label
    if name == "methods":
        return ",".join(item.label for item in value)
    if isinstance(value, dict):
        return write_options(value)
    if isinstance(value, list):
        return ",".join(map(str, value))
    return write_value(value)


MARK = b"reproduction:"  # start of a line in the description of an arm


def is_arm(file: Path) -> bool:
    """Return True if a run folder's description belongs to an arm of a reproduction.

    False if the file cannot be read; its reader reports the error.
    """
    try:
        lines = read_bytes(file, LONGEST, links=False).splitlines()
    except (OSError, Refusal) as error:
        log.debug("%s cannot be read: %s", file, error)
        return False
    return any(line.startswith(MARK) for line in lines)


# Notebook cells that follow the Python code of each kind of description.
_RESULTS = {
    "Experiment": (
        "run.wait()",
        "from qtha_lab.widgets import LivePlot\n\nLivePlot([run]).panel",
        "run.summary",
    ),
    "Comparison": (
        'import pandas as pd\n\npd.DataFrame(compare.rows(summary)).set_index("method").T',
        'print(*summary["notes"], sep="\\n")',
    ),
    "Sweep": ("trials.wait()", "trials.table()", "trials.best()"),
}


def to_notebook(description: BaseModel) -> str:
    """Generate the notebook text without outputs."""
    kind = type(description).__name__
    command = to_command(description)
    head = f"# {kind} repeated\n\nRun All does what this does in a shell:\n\n```sh\n{command}\n```"
    sources = [to_python(description).rstrip(), *_RESULTS[kind]]
    return notebook_text([markdown(head), *map(code, sources)])


def code(source: str, *tags: str) -> dict[str, Any]:
    """Return a code cell."""
    metadata = {"tags": [*tags]} if tags else {}
    cell = {"cell_type": "code", "execution_count": None, "metadata": metadata, "outputs": []}
    return cell | {"source": source.splitlines(keepends=True)}


def markdown(source: str) -> dict[str, Any]:
    """Return a cell of text."""
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def notebook_text(cells: Sequence[dict[str, Any]]) -> str:
    """Return the text of a notebook file.

    Example:
        >>> print(notebook_text([code("1 + 1")])[:15])
        {
         "cells": [
    """
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    whole = {
        "cells": [cell | {"id": f"cell-{number}"} for number, cell in enumerate(cells)],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

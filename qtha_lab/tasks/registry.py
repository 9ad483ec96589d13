"""Tasks by name: each file of this package that declares one is found by itself.

A task is a dataclass of settings with a `rows()` method, decorated with `@task(...)`.
"""

import importlib
import json
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qtha_lab.paths import data_dir
from qtha_lab.tasks.task import Kind

REGISTRY: dict[str, "TaskInfo"] = {}


@dataclass(frozen=True)
class TaskInfo:
    """What a task declares about itself."""

    name: str
    summary: str
    kind: Kind
    source: str
    licence: str
    options: type


def task(
    name: str, *, summary: str, kind: Kind, source: str, licence: str
) -> Callable[[type], type]:
    """Class decorator: the dataclass's fields are the task's options, its `rows()` the data."""

    def register(options: type) -> type:
        REGISTRY[name] = TaskInfo(name, summary, kind, source, licence, options)
        return options

    return register


@cache
def discover() -> dict[str, TaskInfo]:
    """Every registered task, in the order of their names."""
    import qtha_lab.tasks as package

    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(REGISTRY.items()))


def shipped_rows(name: str) -> list[dict]:
    """The lines of `data/tasks/NAME.jsonl`."""
    file: Path = data_dir() / "tasks" / f"{name}.jsonl"
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def question_and_answer(prompt: str, response: str, key: str) -> dict:
    """A language-modelling row of one exchange."""
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
    return {"messages": messages, "key": key}

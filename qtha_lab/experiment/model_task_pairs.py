"""(model, task) pairs of a comparison, on each of which all methods are compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core import call_syntax as calls


@dataclass(frozen=True)
class ModelTask:
    """Pair of base model and task.

    Attributes:
        model: Name, folder or hub id of the base model.
        task: Name, file or id of the task.
        options: Options of the task, as a call writes them.

    Example:
        >>> ModelTask.read("tiny", "chat(turns=2)").task_options
        {'turns': 2}
        >>> str(ModelTask("tiny", "qa"))
        'tiny, qa'
    """

    model: str
    task: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.model}, {self.task_with_options}"

    @property
    def task_with_options(self) -> str:
        """Task with its options, in a form that `read` can parse."""
        return f"{self.task}({self.options})" if self.options else self.task

    @classmethod
    def read(cls, model: str, task: str) -> ModelTask:
        """Create the pair of a model and a task, whose options may follow its name."""
        if not task.endswith(")"):
            return cls(model, task)
        name, _, options = task.removesuffix(")").partition("(")
        return cls(model, name, calls.write_options(calls.parse_options(options)))

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> ModelTask:
        """Create the pair of a run from its entry in a summary."""
        options = calls.write_options(fields.get("task_options") or {})
        return cls(fields.get("model", ""), fields.get("task", ""), options)

    @property
    def task_options(self) -> dict[str, Any]:
        """Options of the task by name."""
        return calls.parse_options(self.options)

    @property
    def fields(self) -> dict[str, Any]:
        """Experiment fields of this pair."""
        return {"model": self.model, "task": self.task, "task_options": self.task_options}


Entry = dict[str, Any]


def by_model_task(entries: Iterable[Entry]) -> dict[ModelTask, list[Entry]]:
    """Group entries of runs by pair, in order of first occurrence."""
    model_tasks: dict[ModelTask, list[Entry]] = {}
    for entry in entries:
        model_tasks.setdefault(ModelTask.of(entry), []).append(entry)
    return model_tasks


def name_in(words: str, model_task: ModelTask, model_tasks: int) -> str:
    """Append the name of a pair to a text if there are several pairs.

    Args:
        words: Text, such as the label of a method.
        model_task: Pair to name.
        model_tasks: Number of pairs.

    Example:
        >>> name_in("lora(r=2)", ModelTask("tiny", "qa"), model_tasks=2)
        'lora(r=2) on tiny, qa'
    """
    return f"{words} on {model_task}" if model_tasks > 1 else words

"""A cell of a comparison: one base model on one task, where all methods meet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from qtha_lab.core import call_syntax as calls


@dataclass(frozen=True)
class Cell:
    """A base model and a task.

    Attributes:
        model: Name, folder or hub id of the base model.
        task: Name, file or id of the task.
        options: Options of the task, as a call writes them.

    Example:
        >>> Cell.read("tiny", "chat(turns=2)").task_options
        {'turns': 2}
        >>> str(Cell("tiny", "qa"))
        'tiny, qa'
    """

    model: str
    task: str
    options: str = ""

    def __str__(self) -> str:
        return f"{self.model}, {self.task_with_options}"

    @property
    def task_with_options(self) -> str:
        """The task as `read` takes it."""
        return f"{self.task}({self.options})" if self.options else self.task

    @classmethod
    def read(cls, model: str, task: str) -> Cell:
        """The cell of a model and a task that may have its options beside its name."""
        if not task.endswith(")"):
            return cls(model, task)
        name, _, options = task.removesuffix(")").partition("(")
        return cls(model, name, calls.write_options(calls.parse_options(options)))

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Cell:
        """The cell of a run, as its entry in a summary says it."""
        options = calls.write_options(fields.get("task_options") or {})
        return cls(fields.get("model", ""), fields.get("task", ""), options)

    @property
    def task_options(self) -> dict[str, Any]:
        """The options of the task by name."""
        return calls.parse_options(self.options)

    @property
    def fields(self) -> dict[str, Any]:
        """The fields of an experiment in this cell."""
        return {"model": self.model, "task": self.task, "task_options": self.task_options}


Entry = dict[str, Any]


def by_cell(entries: Iterable[Entry]) -> dict[Cell, list[Entry]]:
    """Entries of runs by their cell, in the order in which cells are first met."""
    cells: dict[Cell, list[Entry]] = {}
    for entry in entries:
        cells.setdefault(Cell.of(entry), []).append(entry)
    return cells


def name_in(words: str, cell: Cell, cells: int) -> str:
    """Words about a cell of so many: beside others it is named.

    Args:
        words: Such as the label of a method.
        cell: Where it holds.
        cells: How many there are.

    Example:
        >>> name_in("lora(r=2)", Cell("tiny", "qa"), cells=2)
        'lora(r=2) on tiny, qa'
    """
    return f"{words} on {cell}" if cells > 1 else words
